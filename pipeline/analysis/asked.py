"""What the functions of ``pipeline.analysis`` are asked: every fault of the arguments at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pipeline.errors import RefusedError, counted, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

_NEEDED = ("trace_id", "design")
_LISTED = 25  # names up to which a message lists what is known


class Asked:
    """Faults of one call, collected and told together.

    Parameters
    ----------
    where : str
        The function, as its caller knows it.
    df : DataFrame
        What it was given: rows of ``load``, one a trace and design.
    """

    def __init__(self, where: str, df: pd.DataFrame) -> None:
        self._where = where
        self._df = df
        self._faults: list[str] = []
        missing = [name for name in _NEEDED if name not in df.columns]
        if missing:
            self.fault("df", f"has no {' and no '.join(missing)}; it has to be what analysis.load returned")
        elif twice := int(df.duplicated(list(_NEEDED)).sum()):
            self.fault(
                "df",
                f"has several rows of one design on one trace ({counted(twice, 'row')} too many), so nothing can be "
                "paired; keep one version of each, or compare two frames with analysis.compare",
            )

    def fault(self, argument: str, message: str) -> None:
        """Note what is wrong with an argument."""
        self._faults.append(f"{argument}: {message}")

    def metric(self, name: str, argument: str = "metric") -> None:
        """Note a metric that is no column of numbers."""
        if name not in self._df.columns:
            said = f"{name!r} is not a column{near(name, self._df.columns)}"
            self.fault(argument, f"{said}; df.columns lists them; choose one that holds numbers")
        elif not is_numeric_dtype(self._df[name]) or is_bool_dtype(self._df[name]):
            self.fault(argument, f"{name!r} does not hold numbers; choose a column that does")

    def column(self, name: str, argument: str) -> None:
        """Note a name that is no column."""
        if name not in self._df.columns:
            self.fault(argument, f"{name!r} is not a column{near(name, self._df.columns)}")

    def design(self, name: str, argument: str = "baseline") -> None:
        """Note a design that did not run."""
        known = self._df["design"].unique().tolist() if "design" in self._df.columns else []
        if known and name not in known:
            self.fault(argument, f"{name!r} is none of the designs{near(name, known)}")

    def between(self, argument: str, value: float, low: float, high: float, *, ends: bool = False) -> None:
        """Note a number that is not between two others; ``ends`` says whether the low one is allowed."""
        if not (low < value < high or (ends and value == low)):
            self.fault(argument, f"{value!r} is not {'from' if ends else 'above'} {low:g} and below {high:g}")

    def done(self) -> None:
        """Raise RefusedError with all faults, if there are any."""
        if len(self._faults) == 1:
            raise RefusedError(f"analysis.{self._where}: {self._faults[0]}")
        if self._faults:
            head = f"analysis.{self._where}: {counted(len(self._faults), 'problem')}"
            raise RefusedError("\n".join([head, *(f"  {fault}" for fault in self._faults)]))


def near(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name, or all of them if they are few and none is near."""
    names = [str(each) for each in known]
    said = did_you_mean(str(name), names)
    return said if said.startswith("; did") or len(names) <= _LISTED else ""
