"""The one schema of stored rows: every column with its unit and meaning, versioned.

A dataset is written and read with this schema and no other: no reader drops a column it did not see in
the first file.
"""

from __future__ import annotations

import pyarrow as pa

from simcore.acts import ACTS, EVENT_KINDS, GAUGES

# Raise when a column changes meaning, appears or goes. Readers refuse newer versions.
SCHEMA_VERSION = 2

# Keys of a file's metadata: the version, the resolved study as JSON, and what software made the rows as JSON.
VERSION_KEY = "forkbench.schema_version"
STUDY_KEY = "forkbench.study"
PROVENANCE_KEY = "forkbench.provenance"

# (name, arrow type, unit, meaning)
_IDENTITY: tuple[tuple[str, pa.DataType, str, str], ...] = (
    ("cell_id", pa.string(), "", "content hash of everything that can change the row"),
    ("trace_id", pa.string(), "", "content hash of workload, params, geometry, replicate: one for all designs"),
    ("study", pa.string(), "", "name of the study"),
    ("design", pa.string(), "", "name of the design, see forkbench designs"),
    ("geometry", pa.string(), "", "name of the geometry"),
    ("workload", pa.string(), "", "name of the workload, see forkbench workloads"),
    ("params", pa.string(), "", "the workload's parameters, all of them, as canonical JSON"),
    ("replicate", pa.int64(), "", "number of the replicate, from 0"),
    ("seed", pa.int64(), "", "seed of the trace's random generator, derived from trace_id"),
    ("model_version", pa.string(), "", "hash of the simulator's sources that made the row"),
    ("events", pa.int64(), "events", "events of the trace"),
    ("touches", pa.int64(), "pages", "pages touched by reads and writes, faulting or not"),
)  # fmt: skip


def _vector_type(name: pa.DataType) -> pa.DataType:
    """Return the type of act vectors whose events and acts are named by values of a type."""
    acts = pa.struct([pa.field("act", name, nullable=False), pa.field("n", pa.int64(), nullable=False)])
    return pa.list_(
        pa.struct(
            [
                pa.field("event", name, nullable=False),
                pa.field("times", pa.int64(), nullable=False),
                pa.field("acts", pa.list_(acts), nullable=False),
            ]
        )
    )


VECTOR_TYPE = _vector_type(pa.string())
# The same with each name held once: what files can be read as, several times as fast.
CODED_VECTOR_TYPE = _vector_type(pa.dictionary(pa.int32(), pa.string()))
CODED_PATHS = (
    "vectors.list.element.event",
    "vectors.list.element.acts.list.element.act",
)  # of columns in files
_VECTORS_MEANING = (
    "the distinct act vectors of each kind of event ("
    + ", ".join(EVENT_KINDS)
    + "): times = how often it occurred, acts = the acts that are not zero"
)


def row_schema() -> pa.Schema:
    """Return the schema of a row; unit and meaning of each column stand in the field's metadata."""
    columns = [*_IDENTITY]
    columns += [(act.name, pa.int64(), "acts", act.meaning) for act in ACTS]
    columns += [(gauge.name, pa.int64(), gauge.unit, gauge.meaning) for gauge in GAUGES]
    columns.append(("vectors", VECTOR_TYPE, "", _VECTORS_MEANING))
    described = [
        pa.field(name, kind, nullable=False, metadata={"unit": unit, "meaning": meaning})
        for name, kind, unit, meaning in columns
    ]
    return pa.schema(described, metadata={VERSION_KEY: str(SCHEMA_VERSION)})
