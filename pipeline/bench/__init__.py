"""How fast the engine is: beside the machine that it simulates, beside loops in C, beside the oracle."""
