"""Telling kernel threads from user processes by name and parent."""

from __future__ import annotations

import pytest

from pipeline.sources.kernel_threads import kernel_thread_flags
from pipeline.sources.listing import read_listing


def kernel_names(text: str) -> list[str]:
    """Return the names of the kernel threads in a listing."""
    return [node.name for node in read_listing(text).nodes if node.kernel_thread]


@pytest.mark.parametrize(
    "name",
    [
        "keventd", "kapm-idled", "kswapd", "kflushd", "bdflush", "kupdate", "kupdated", "kreclaimd", "khubd",
        "kjournald", "ksoftirqd_CPU0", "ksoftirqd/3", "scsi_eh_12", "kthreadd", "events/0", "migration/1", "nfsd",
        "lockd", "rpciod", "eth0", "loop7", "xfslogd/0", "watchdog/1", "pdflush", "i2oevtd", "kpiod",
    ],
)  # fmt: skip
def test_known_name_below_the_root__is_a_kernel_thread(name):
    """Names of threads that the kernel starts itself count as such when init is their parent."""
    assert kernel_thread_flags(["init", name, "bash"], [-1, 0, 0]) == [False, True, False]


@pytest.mark.parametrize(
    "name",
    [
        "kdeinit", "kdesud", "kmail", "klogd", "kded4", "kdm", "konsole", "kwin", "kerneloops", "ksmtuned", "ksmserver",
        "watchdog", "events", "sshd", "nfsdcld", "ethtool", "aio", "kio_file", "kscreenlocker", "http",
    ],
)  # fmt: skip
def test_user_program__is_no_kernel_thread(name):
    """A k at the beginning proves nothing, nor does a word that the kernel uses only with a processor's number."""
    assert kernel_thread_flags(["init", name], [-1, 0]) == [False, False]


def test_known_name_below_a_user_process__is_none():
    """A program called like a kernel thread, started by a shell, is a program."""
    assert kernel_names("init---bash---kswapd") == []


def test_everything_below_kthreadd__is_a_kernel_thread():
    """Later kernels need no names: what descends from kthreadd (or 2.6's kthread) has no address space."""
    assert kernel_names("init-+-kthreadd-+-odd---odder\n|`-kworker/0:1H\n`-bash") == [
        "kthreadd", "odd", "odder", "kworker/0:1H",
    ]  # fmt: skip
    assert kernel_names("init-+-kthread---cifsoplockd\n`-bash") == ["kthread", "cifsoplockd"]
    assert kernel_names("init---kthreadd/99149---khelper/99149") == ["kthreadd/99149", "khelper/99149"]


def test_root__is_never_a_kernel_thread():
    """A part of a listing that begins at kthreadd still has a root to hang processes from."""
    assert kernel_thread_flags(["kthreadd", "bash"], [-1, 0]) == [False, False]


def test_user_child_of_a_kernel_thread__belongs_to_the_nearest_user_process():
    """Helpers such as modprobe are started by keventd; leaving it out hands them to init."""
    listing = read_listing("init-+-keventd---modprobe---sh\n`-bash")
    assert listing.as_tree("t") == {
        "label": "t",
        "parents": [-1, 0, 1, 0],
        "names": ["init", "modprobe", "sh", "bash"],
    }
