"""Costs of the machine at hand: scripts are timed, few parameters fitted, and others' times predicted."""
