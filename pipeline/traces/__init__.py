"""``forkbench trace``: real programs recorded fault by fault, as traces that the simulator runs."""
