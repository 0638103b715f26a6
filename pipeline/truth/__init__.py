"""Does the simulator count what kernels count: scripts of steps, what kernels returned for them, and the comparison."""
