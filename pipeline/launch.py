"""What a worker does to begin a driver on its machine: a process that outlives the worker and whoever submitted.

Workers import this, and Dask's client ships it: it needs the standard library alone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pipeline.study import Study
    from pipeline.sweep import Orders

START_SECONDS = 90.0  # that a driver may take to claim its dataset: a plan of a million cells takes ten
BEGUN = "begun"  # the file by which a driver says that it holds the dataset
_PLAN = "plan.json"
_TICK_SECONDS = 0.1


class Order(NamedTuple):
    """What a driver is to do.

    Parameters
    ----------
    id : str
        Of the submission.
    study : Study
        Resolved: whatever files it names have been read.
    plan_id : str
        Of the plan that was made of it where it was submitted.
    dataset : str
        Where the rows go, as the driver's machine names it: a path or a URL.
    timeout : float or None
        Seconds that one cell may take.
    orders : Orders
        What else is asked for.
    """

    id: str
    study: Study
    plan_id: str
    dataset: str
    timeout: float | None
    orders: Orders


class Launched(NamedTuple):
    """What became of a driver that was begun.

    Parameters
    ----------
    host : str
        The machine.
    process : int
        Its number there.
    begun : bool
        It holds the dataset; False if it has ended before that, or is not so far yet.
    code : int or None
        Its exit code if it has ended.
    said : str
        What it said until then.
    """

    host: str
    process: int
    begun: bool
    code: int | None
    said: str


def sees(dataset: str) -> tuple[str, bool]:
    """Return the name of this machine, and whether it sees a dataset at a place; what a URL names is seen by all."""
    return socket.gethostname(), "://" in dataset or (Path(dataset) / _PLAN).exists()


async def launch(order: bytes, dask_worker: Any = None) -> Launched:
    """Begin a driver, and wait until it holds its dataset or has ended.

    Parameters
    ----------
    order : bytes
        A pickled Order.
    dask_worker : Worker
        The worker that runs this; Dask hands it over.
    """
    folder = Path(tempfile.mkdtemp(prefix="forkbench-"))
    try:
        process = _begin(order, folder, dask_worker)
        for _ in range(int(START_SECONDS / _TICK_SECONDS)):
            if (folder / BEGUN).exists() or process.poll() is not None:
                break
            await asyncio.sleep(_TICK_SECONDS)
        begun, code = (folder / BEGUN).exists(), process.poll()
        said = (folder / "said").read_text(encoding="utf-8", errors="replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Launched(socket.gethostname(), process.pid, begun, code, said.strip())


def _begin(order: bytes, folder: Path, worker: Any) -> subprocess.Popen[bytes]:
    """Start the process, in a session of its own: signals to the worker or its terminal are not for it."""
    (folder / "order").write_bytes(order)
    command = [sys.executable, "-u", "-m", "pipeline.driver", str(folder), worker.scheduler.address]
    with (folder / "order").open("rb") as given, (folder / "said").open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - no shell, our own words
            command,
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=os.environ | credentials(worker.security),
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # so that it is no zombie when it has ended
    return process


def credentials(security: Any) -> dict[str, str]:
    """Return the settings by which a driver shows the scheduler what its worker shows it.

    A worker may have its certificates from its command line, which the driver does not see.
    """
    known = {
        "CA_FILE": security.tls_ca_file,
        "CLIENT__CERT": security.tls_client_cert or security.tls_worker_cert,
        "CLIENT__KEY": security.tls_client_key or security.tls_worker_key,
    }
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(value) for name, value in known.items() if value}
