"""What programs occupy in memory, measured on this machine: ``forkbench footprints measure``."""
