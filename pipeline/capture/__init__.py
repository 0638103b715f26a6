"""A running machine: its processes captured from /proc, kept in a file, simulated, and compared with the kernel."""
