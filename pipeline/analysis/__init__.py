"""What a pandas user imports: load a dataset, put times on it, compare designs, and say how sure that is.

>>> from pipeline import analysis
>>> df = analysis.load("results/typical")
>>> analysis.typical(df, "total_ns_per_fork", baseline="mainline")
>>> analysis.losers(df, "total_ns_per_fork", baseline="mainline")
>>> analysis.worst(analysis.recost(df, my_model), "total_ns_per_fork", baseline="mainline", count=5)

Every function takes and returns plain frames. Designs are paired by trace: all of them face the same ones, so a
difference between two is never noise. docs/analysis.md tells what each column is.
"""

from pipeline.analysis.extremes import best, worst
from pipeline.analysis.frames import TIME_COLUMNS, frame_of, load, recost, tidy
from pipeline.analysis.tails import quantile, tail, tail_quantiles
from pipeline.analysis.tradeoffs import crossings, crossover, pareto
from pipeline.analysis.users import effect, losers, typical, users
from pipeline.analysis.versions import compare
from pipeline.compare import paired, population
from pipeline.latency import latency, vectors

__all__ = [
    "TIME_COLUMNS",
    "best",
    "compare",
    "crossings",
    "crossover",
    "effect",
    "frame_of",
    "latency",
    "load",
    "losers",
    "paired",
    "pareto",
    "population",
    "quantile",
    "recost",
    "tail",
    "tail_quantiles",
    "tidy",
    "typical",
    "users",
    "vectors",
    "worst",
]
