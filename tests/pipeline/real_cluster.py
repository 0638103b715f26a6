"""A Dask cluster as a user starts it: with Dask's own commands, over TLS, with certificates of our own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

WAIT_SECONDS = 120.0  # for whatever has to happen; a machine may be busy
DASK = Path(sys.executable).with_name("dask")


class RealCluster(NamedTuple):
    """What tests need of it: the address, the environment of a client, the numbers of its processes."""

    address: str
    environment: dict[str, str]
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


def certificates(folder):
    """Return Dask's settings for TLS as variables, with a certificate that is made here."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, *subject]
    subprocess.run(made, check=True, capture_output=True)
    known = {"TLS__CA_FILE": certificate, "REQUIRE_ENCRYPTION": "true"}
    known |= {f"TLS__{role}__{what}": path for role in ("SCHEDULER", "WORKER", "CLIENT")
              for what, path in (("CERT", certificate), ("KEY", key))}  # fmt: skip
    return {f"DASK_DISTRIBUTED__COMM__{name}": str(value) for name, value in known.items()}


@contextlib.contextmanager
def real_cluster(folder, workers=2):
    """Start a scheduler and workers in a folder of their own, and end them."""
    environment = os.environ | certificates(folder)
    environment |= {"XDG_STATE_HOME": str(folder / "state")}
    file, log = folder / "scheduler.json", (folder / "cluster.log").open("wb")
    how = {"stdout": log, "stderr": subprocess.STDOUT, "env": environment, "cwd": folder}
    options = ["--scheduler-file", file, "--no-dashboard", "--protocol", "tls"]
    with log:
        started = [subprocess.Popen([DASK, "scheduler", "--port", "0", *options], **how)]
        started += [
            subprocess.Popen([DASK, "worker", "--nthreads", "1", *options], **how) for _ in range(workers)
        ]
        try:
            until(file.exists)
            address = json.loads(file.read_text(encoding="utf-8"))["address"]
            yield RealCluster(address, environment, started[0], started[1:])
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait()


def until(holds):
    """Wait until something holds; give up after a while."""
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
