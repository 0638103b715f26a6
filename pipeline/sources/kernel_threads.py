"""Which processes of a listing are kernel threads: they have no mm, so fork has nothing to copy for them.

A drawing shows only names and parents, so both are used:

- whatever descends from ``kthreadd`` (2.6.22 and later) or ``kthread`` (2.6 before it) is a kernel thread;
- a child of the root, or of a kernel thread, is one if its name is in the list below.

A name alone proves nothing: kdeinit, kdesud, kmail and klogd are user programs, whatever their first letter.
"""

from __future__ import annotations

import re

# Names of kernels before 2.6.22, as patterns, by the part of the kernel that starts the thread. Later kernels
# need no list: all their threads descend from kthreadd.
_NAMES: dict[str, str] = {
    "memory": r"kswapd\d*|kflushd|kupdated?|bdflush|kpiod|kreclaimd|krefilld|kinoded|pdflush|vmmemctl",
    "work queues and processors": r"keventd|khelper|kthreadd?|ksoftirqd(?:_CPU\d+)?|migration_CPU\d+|kirqd|kedac"
    r"|xenwatch|xenbus",
    "power management": r"kapmd|kapm-idled|kacpid|kacpi_notify|kacpi_hotplug|kondemand|kconservative",
    "file systems": r"kjournald|kreiserfsd|jfsIO|jfsCommit|jfsSync|xfs_?syncd|xfsbufd|xfslogd|xfsdatad|pagebufd?"
    r"|nfsd|nfsd4|nfsiod|lockd|rpciod|kafsd|cifsd|dlm_\w+|gfs2?_\w+|o2net",
    "block devices": r"kblockd|scsi_eh_\d+|ata_aux|loop\d+|mdrecoveryd|md\d+_\w+|raid\d+d|raid5syncd|kcopyd|kcryptd"
    r"|kmpathd|kmirrord|ksnapd|drbd\d+_\w+|i2oevtd|i2oblock",
    "other devices": r"khubd|usb-storage-\d+|kseriod|kpsmoused|khpsbpkt|knodemgrd_\d+|kgameportd|pccardd|kauditd"
    r"|krfcommd|khidpd_\w+|eth\d+|kpnpbiosd?|kcapid",
}
# These are words of their own, so only the number of a processor behind them tells.
_PER_PROCESSOR = r"(?:events|migration|watchdog|aio|ata|cqueue|crypto|reiserfs|rpciod|posix_cpu_timer)/\d+"
_KERNEL_THREAD = re.compile(rf"(?:{'|'.join(_NAMES.values())})(?:/\d+)?|{_PER_PROCESSOR}")
_ANCESTOR = re.compile(r"kthreadd?(?:/\d+)?")


def kernel_thread_flags(names: list[str], parents: list[int]) -> list[bool]:
    """Return for each process whether it is a kernel thread.

    The root never is. ``parents[i] < i`` is the index of process ``i``'s parent, -1 for the root.
    """
    flags: list[bool] = []
    below_ancestor: list[bool] = []
    for name, parent in zip(names, parents, strict=True):
        inherited = parent >= 0 and below_ancestor[parent]
        may_be = parent == 0 or (parent > 0 and flags[parent])
        flags.append(inherited or (may_be and _KERNEL_THREAD.fullmatch(name) is not None))
        below_ancestor.append(inherited or (flags[-1] and _ANCESTOR.fullmatch(name) is not None))
    return flags
