"""The vfork schedule keeps each task's program and moves only what nobody can see."""

import numpy as np
import pytest
from traces import RandomTrace

from simcore import DESIGNS, Mapping, TraceBuilder, VmaKind, tiny_geometry
from simcore.errors import TraceRefused
from simcore.events import Op
from simcore.simulate import simulate
from simcore.spawn import as_vfork_runs_it


def program(trace, task):
    """Return a task's own events, forks read as vforks."""
    own = trace.events[trace.events["task"] == task].copy()
    own["op"][own["op"] == Op.VFORK] = Op.FORK
    return own


def test_schedule__keeps_each_tasks_program():
    """For every task the events and their order are the same; only the interleaving changes."""
    reordered = 0
    for seed in range(40):
        trace = RandomTrace(seed, wild=0.0, shared=seed % 2 == 0).build(400)
        moved = as_vfork_runs_it(trace)
        reordered += bool((moved.events["task"] != trace.events["task"]).any())
        assert len(moved) == len(trace)
        assert moved is trace or sorted(moved.origin) == list(range(len(trace)))
        for task in range(trace.tasks):
            np.testing.assert_array_equal(program(moved, task), program(trace, task))
    assert reordered > 10, "hardly a trace was reordered, so little was tested"


def test_schedule__moves_the_childs_steps_before_the_parents():
    """Parent first: the parent's write waits until the child has execed."""
    builder = TraceBuilder()
    image = builder.image([])
    builder.mmap(0, Mapping(0, 4, VmaKind.ANON))
    builder.fork(0, 1)
    builder.write(0, 0)
    builder.write(1, 1)
    builder.exec(1, image)
    moved = as_vfork_runs_it(builder.build())
    assert moved.events["op"].tolist() == [Op.MMAP, Op.VFORK, Op.WRITE, Op.EXEC, Op.WRITE]
    assert moved.events["task"].tolist() == [0, 0, 1, 1, 0]


def test_schedule__moves_nothing_where_memory_is_shared_and_writable():
    """The parent's write could be to shared memory that the child reads: the fork stays a fork."""
    builder = TraceBuilder()
    image = builder.image([])
    builder.mmap(0, Mapping(0, 4, VmaKind.SHM, writable=True, file=0))
    builder.fork(0, 1)
    builder.write(0, 0)
    builder.read(1, 0)
    builder.exec(1, image)
    trace = builder.build()
    assert as_vfork_runs_it(trace) is trace


def short(*steps):
    """Map four private pages, then let the steps be told to a builder with one empty image."""
    builder = TraceBuilder()
    builder.image([])
    builder.mmap(0, Mapping(0, 4, VmaKind.ANON))
    for step in steps:
        step(builder)
    return builder.build()


def test_schedule__leaves_a_child_alone_that_unmaps_before_it_execs():
    """Only reads and writes may be done in a borrowed mm: with a munmap before the exec the fork stays a fork."""
    trace = short(
        lambda b: b.fork(0, 1), lambda b: b.write(1, 0), lambda b: b.munmap(1, 2, 1), lambda b: b.exec(1, 0)
    )
    assert as_vfork_runs_it(trace) is trace


def test_schedule__moves_every_step_of_the_child():
    """Five steps and the exec, each behind one of the parent's: all come up to the fork, in their order."""
    steps = [lambda b: b.fork(0, 1)]
    for page in (0, 1, 2, 3, 0):
        steps += [lambda b: b.write(0, 3), lambda b, page=page: b.write(1, page)]
    moved = as_vfork_runs_it(short(*steps, lambda b: b.exec(1, 0)))
    assert moved.events["task"].tolist() == [0, 0] + [1] * 6 + [0] * 5
    assert moved.events["start"][2:7].tolist() == [0, 1, 2, 3, 0]


def test_schedule__a_read_only_shared_mapping_pins_nothing():
    """What cannot be written cannot tell who ran first."""
    builder = TraceBuilder()
    image = builder.image([])
    builder.mmap(0, Mapping(0, 4, VmaKind.FILE_SHARED, writable=False, file=0))
    builder.fork(0, 1)
    builder.read(0, 0)
    builder.read(1, 0)
    builder.exec(1, image)
    assert as_vfork_runs_it(builder.build()).events["op"].tolist()[1] == Op.VFORK


def test_schedule__a_writable_shared_mapping_of_an_image_pins_too():
    """A program that is execed later may map shared memory: nothing is moved in such a trace."""
    builder = TraceBuilder()
    image = builder.image([Mapping(0, 4, VmaKind.SHM, writable=True, file=0)])
    builder.mmap(0, Mapping(0, 4, VmaKind.ANON))
    builder.fork(0, 1)
    builder.write(0, 0)
    builder.write(1, 0)
    builder.exec(1, image)
    trace = builder.build()
    assert as_vfork_runs_it(trace) is trace


def test_refusal__speaks_of_the_trace_as_it_was_written():
    """The bad write is event 3 of the user's trace, wherever the schedule has put it."""
    trace = short(
        lambda b: b.fork(0, 1), lambda b: b.write(0, 0), lambda b: b.write(0, 9), lambda b: b.exec(1, 0)
    )
    for design in DESIGNS.values():
        for engine in ("fast", "oracle"):
            with pytest.raises(TraceRefused, match=r"^event 3: write by task 0") as refused:
                simulate(trace, design, tiny_geometry(), engine)
            assert refused.value.event == 3


def test_schedule__a_second_fork_of_a_living_child_is_refused_once():
    """Two forks of one number claim the same steps: the first has them, the second is refused."""
    trace = short(
        lambda b: b.fork(0, 1), lambda b: b.fork(0, 1), lambda b: b.write(1, 0), lambda b: b.exec(1, 0)
    )
    moved = as_vfork_runs_it(trace)
    assert sorted(moved.origin) == list(range(len(trace)))
