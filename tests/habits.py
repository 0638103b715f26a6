"""Traces of processes with habits: shells that do the same again and again, until they or a child do something else.

For what the engine counts instead of doing it, see simcore.engine.lives. Neither reclaim nor shm objects, where it
does not.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
from traces import PAGES, RandomTrace

from simcore import Mapping, Trace, TraceBuilder, VmaKind
from simcore.events import Op

KINDS = (VmaKind.ANON, VmaKind.FILE_PRIVATE, VmaKind.FILE_SHARED, VmaKind.STACK, VmaKind.HEAP)
IMAGES = (
    [
        Mapping(0, 6, VmaKind.FILE_PRIVATE, writable=False, file=0),
        Mapping(6, 5, VmaKind.ANON),
        Mapping(29, 3, VmaKind.STACK),
    ],
    [
        Mapping(1, 6, VmaKind.FILE_PRIVATE, writable=True, file=2),
        Mapping(8, 8, VmaKind.FILE_SHARED, writable=True, file=1),
        Mapping(18, 2, VmaKind.HEAP),
    ],
)
SPAWN, BEAR = (
    -1,
    -2,
)  # steps of a script: vfork a child that execs image ``arg``, or exits if that is -1; fork one
ALONE = (Op.FORK, Op.VFORK, Op.EXEC, Op.EXIT, Op.RECLAIM)  # what the events of a script are not
CHANGING = (Op.MMAP, Op.MUNMAP, Op.MPROTECT, Op.DONTNEED)
SHELLS = 3
Script = list[tuple[Any, ...]]  # events without their task; listed pages as a tuple


class Habits(NamedTuple):
    """How often, in so many events, somebody deviates from what he did before: of 100 steps so many."""

    seed: int
    length: int
    deviations: int = 4
    tasks: int = 8

    def build(self) -> Trace:
        """Make the trace."""
        return _Play(self).build()


class _Play:
    """Three shells and what they start: each other task has a script of what it still has to do.

    Task 1 has an image of its own, task 2 is a child of task 0 that shares tables and pages with it.
    """

    def __init__(self, recipe: Habits) -> None:
        self.recipe, self.rng = recipe, random.Random(recipe.seed)
        self.builder = TraceBuilder()
        for image in IMAGES:
            self.builder.image(image)
        self.lives = [[self._script(image) for _ in range(2)] for image in range(len(IMAGES))]
        self.begun = [self._script(shell % 2, without=CHANGING) for shell in range(SHELLS)]
        self.rounds = [[[*self._script(at % 2), self._end()] for _ in range(2)] for at in range(SHELLS)]
        self.doing = [rounds[0] for rounds in self.rounds]
        self.todo: dict[int, Script] = {}
        self.alive = set(range(SHELLS))

    def build(self) -> Trace:
        """Begin both shells, and let the tasks take turns."""
        self.builder.exec(0, 0)
        self._write(0, self.begun[0])
        self.builder.fork(0, 1)
        self.builder.exec(1, 1)
        self._write(1, self.begun[1])
        self.builder.fork(0, 2)
        self._write(2, self.begun[2])
        task = 0
        while len(self.builder) < self.recipe.length:
            others = sorted(self.alive)
            if task not in self.alive or self.rng.random() < 0.1:
                busy = [other for other in others if self.todo.get(other)]
                task = self.rng.choice(busy if busy and self.rng.random() < 0.8 else others)
            self._turn(task)
        return self.builder.build()

    def _turn(self, task: int) -> None:
        """Let a task do its next step, or something else."""
        if self.rng.randrange(100) < self.recipe.deviations:
            self._stray(task)
        elif task < SHELLS:
            self._start(task)
        elif self.todo[task]:
            self._step(task)

    def _start(self, shell: int) -> None:
        """Fork a child that does what the last one did, mostly."""
        child = self._free_task()
        if child is None:
            return
        if self.rng.random() < 0.06:
            self.doing[shell] = self.rng.choice(self.rounds[shell])
        self.builder.fork(shell, child)
        self.alive.add(child)
        self.todo[child] = list(self.doing[shell])
        while self.todo.get(child) and self.rng.random() < 0.97:
            self._step(child)
            if self.rng.randrange(100) < self.recipe.deviations:  # meanwhile
                self._write(shell, self.begun[shell][-1:])

    def _free_task(self) -> int | None:
        """Return the number of a task that is not alive, if there is one."""
        free = [task for task in range(SHELLS, self.recipe.tasks) if task not in self.alive]
        return self.rng.choice(free) if free else None

    def _step(self, task: int) -> None:
        """Do the next step of a script; behind an exec a life with the image begins."""
        step = self.todo[task].pop(0)
        if self.rng.randrange(200) < self.recipe.deviations:
            step = self._missed(step)
        if step[0] in (SPAWN, BEAR):
            self._bear(task, step)
            return
        self._write(task, [step])
        if step[0] == Op.EXEC:
            life = self.rng.choice(self.lives[step[4]]) if self.rng.random() < 0.3 else self.lives[step[4]][0]
            self.todo[task] = [*life, self._end() if self.rng.random() < 0.05 else EXIT]
        elif step[0] == Op.EXIT:
            self.alive.remove(task)
            del self.todo[task]

    def _missed(self, step: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a step that differs in where it begins, or in the last page of its list."""
        if step[0] in (Op.READ, Op.WRITE) and len(step) == 2:
            return (step[0], (*step[1][:-1], self.rng.choice(step[1])))
        if step[0] in (SPAWN, BEAR, Op.EXEC, Op.EXIT):
            return step
        return (step[0], (step[1] + 1) % (PAGES - 1), *step[2:])

    def _bear(self, task: int, step: tuple[Any, ...]) -> None:
        """Fork, or vfork as posix_spawn does."""
        child = self._free_task()
        if child is None:
            return
        if step[0] == BEAR:
            self.builder.fork(task, child)
            self.alive.add(child)
            self.todo[child] = [(Op.WRITE, 30, 1, 1), self._end()]
            return
        self.builder.vfork(task, child)
        self._write(child, [(Op.WRITE, 29, 1, 1), _exec(step[1]) if step[1] >= 0 else EXIT])
        if step[1] >= 0:
            self.alive.add(child)
            self.todo[child] = [*self.lives[step[1]][0], EXIT]

    def _stray(self, task: int) -> None:
        """Do something that is in no script."""
        what = self.rng.randrange(8)
        if what == 0:
            self._bear(task, (BEAR,))
        elif what == 1:
            self._bear(task, (SPAWN, self.rng.choice([-1, 0])))
        elif what == 2 and task >= SHELLS:
            self.todo[task] = [self._end()]
        elif what == 3:
            self._write(task, [(Op.MUNMAP, self.rng.randrange(PAGES - 2), 2)])
        elif what == 4:  # refused now and then
            self._write(task, [(Op.READ, self.rng.randrange(PAGES), 1, 1)])
        elif what == 5:
            self._write(task, [(Op.WRITE, self.rng.randrange(PAGES), 1, 1)])
        else:
            self._write(task, self.begun[self.rng.randrange(SHELLS)][-2:])

    def _end(self) -> tuple[Any, ...]:
        """Return an exec or an exit."""
        return self.rng.choice([_exec(0), _exec(1), EXIT])

    def _script(self, image: int, without: tuple[Op, ...] = ()) -> Script:
        """Return what a process does after the exec of an image; now and then it writes many pages, or has children."""
        alone = RandomTrace(self.rng.randrange(1 << 30), tasks=1, wild=0.01, without=(*ALONE, *without))
        alone.kinds = list(KINDS)
        alone.mapped[0] = {
            page: (each.writable, each.kind == VmaKind.STACK)
            for each in IMAGES[image]
            for page in range(each.start, each.start + each.npages)
        }
        made = alone.build(self.rng.randint(2, 7))
        script = [self._as_step(row, made.pages) for row in made.events]
        many = [page for page, (writable, _) in alone.mapped[0].items() if writable] * 2
        more = (Op.WRITE, tuple(self.rng.sample(many, min(len(many), 16)))), (SPAWN, -1), (SPAWN, 1), (BEAR,)
        if not without and many and self.rng.random() < 0.5:
            script.insert(self.rng.randrange(len(script) + 1), self.rng.choice(more))
        return script

    @staticmethod
    def _as_step(row: np.void, pages: np.ndarray) -> tuple[Any, ...]:
        """Return an event as a step of a script."""
        step = tuple(row.tolist())
        if row["op"] in (Op.READ, Op.WRITE) and row["stride"] == 0:
            return (step[0], tuple(pages[step[2] : step[2] + step[3]].tolist()))
        return (step[0], *step[2:])

    def _write(self, task: int, script: Script) -> None:
        """Write steps as events of a task."""
        for op, *rest in script:
            if op in (Op.READ, Op.WRITE) and len(rest) == 1:
                verb = self.builder.read_pages if op == Op.READ else self.builder.write_pages
                verb(task, list(rest[0]))
            elif op in (SPAWN, BEAR):
                self._bear(task, (op, *rest))
            else:
                self.builder._rows.append((op, task, *rest, *[0] * (6 - len(rest))))


def _exec(image: int) -> tuple[Any, ...]:
    """Return the step of an exec."""
    return (Op.EXEC, 0, 0, 0, image)


EXIT = (Op.EXIT,)
