"""An S3 of this process that refuses, dawdles and falls silent when it is told to: moto behind a thin layer of WSGI."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "sweeps"
UNAVAILABLE = b"<Error><Code>%s</Code><Message>Please reduce your request rate.</Message></Error>"


class Store:
    """The server.

    Attributes
    ----------
    url : str
        Of the server.
    misbehave : callable or None
        Is asked at each request, with its number and its environment; returns None, or what happens: ``("status", code,
        word)``, ``("lost",)`` (done, but the answer is lost), ``("slow", seconds)`` or ``("silent", seconds)``.
    happened : list
        What happened.
    requests : int
        How many there were.
    """

    def __init__(self):
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.misbehave = None
        self.happened = []
        self._numbers = itertools.count()
        self.requests = 0
        self._over = threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self):
        """What a client has to know, as Amazon's own tools have it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self):
        import boto3  # noqa: PLC0415

        boto3.client("s3").create_bucket(Bucket=BUCKET)

    def _answer(self, environ, start_response):
        self.requests = number = next(self._numbers)
        what = self.misbehave(number, environ) if self.misbehave else None
        if what is None:
            return self._moto(environ, start_response)
        self.happened.append(what)
        return getattr(self, f"_{what[0]}")(environ, start_response, *what[1:])

    def _status(self, environ, start_response, code, word):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = UNAVAILABLE % word.encode()
        start_response(
            f"{code} {word}", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _lost(self, environ, start_response):
        list(self._moto(environ, lambda *_: lambda _: None))
        return self._status(environ, start_response, 500, "InternalError")

    def _slow(self, environ, start_response, seconds):
        time.sleep(seconds)
        return self._moto(environ, start_response)

    def _silent(self, environ, start_response, seconds):
        self._over.wait(seconds)
        return self._status(environ, start_response, 504, "GatewayTimeout")


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


@contextlib.contextmanager
def serving():
    """Serve; what clients of this process must know is in its environment meanwhile."""
    store = Store()
    before = {name: os.environ.get(name) for name in store.environment}
    os.environ |= store.environment
    try:
        store.make_bucket()
        yield store
    finally:
        store.stop()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
