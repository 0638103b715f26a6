"""The fast path, by kernel verb, on flat arrays under numba."""
