"""Print how many mutants the tests killed, and which functions' mutants survive; ``make mutants`` runs it at the end."""

import json
from collections import Counter
from pathlib import Path

KILLED = (1, 3, 24, 36, 152, 255, -24)  # exit codes of mutmut: tests failed, or ran out of time


def main() -> None:
    """Read what mutmut kept beside each mutated module."""
    tried: dict[str, int] = {}
    for meta in sorted(Path("mutants").rglob("*.py.meta")):
        tried |= json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
    alive = [name for name, code in tried.items() if code not in KILLED]
    for function, count in sorted(Counter(name.rpartition("__mutmut_")[0] for name in alive).items()):
        print(f"{count:4} alive  {function.replace('.x_', '.')}")
    killed = len(tried) - len(alive)
    print(f"{killed} of {len(tried)} mutants killed: {killed / len(tried):.1%}")


if __name__ == "__main__":
    main()
