"""The workload ``build``: make compiles one object after another and links them.

Processes of one moment are a chain, each waiting for the next::

    make - make - ... - sh - small commands, one after another
                           - cc - cc1, then as
                           - cc - collect2 - ld        once, at the end

Before a command its creator may fork a subshell, which writes a few pages and exits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.events import TraceBuilder
from simcore.workloads.parameters import FRACTION, INT, Parameter, Workload
from simcore.workloads.process import image_parameter, misfit, needs_of, place, write

if TYPE_CHECKING:
    import numpy as np

    from simcore.events import Trace
    from simcore.geometry import Geometry
    from simcore.workloads.process import Process

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("objects", INT, 20, "objects to compile", "objects", 1, 1_000),
    Parameter("make_depth", INT, 3, "makes in a chain, each started by the one before", "processes", 1, 100),
    Parameter("commands", INT, 4, "small commands in the recipe of each object, before the compiler", "commands", 0, 100),
    Parameter(
        "compiler_pages", INT, 9_300,
        "pages of one private anonymous mapping that the compiler proper makes and writes besides the measured ones, "
        "which are those for a small source",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "fork_ratio", FRACTION, 0.06,
        "probability that a command is created by fork; the others are by vfork. One random number per command decides "
        "for all ratios",
    ),
    Parameter(
        "exec_ratio", FRACTION, 0.99,
        "share of the children that exec, on average; the others are subshells, forked before commands", low=0.5,
    ),
    Parameter(
        "written_before_exec", INT, 17,
        "anonymous pages, at most all, that a forked child writes before it execs or, as a subshell, exits, spread over "
        "its leaf tables; a child of vfork writes none",
        "pages", 0, 4_000_000,
    ),
    Parameter(
        "parent_writes", INT, 11,
        "anonymous pages, at most all, that a parent writes after each fork, behind the child: stack first, then data",
        "pages", 0, 4_000_000,
    ),
    image_parameter("shell", "sh", "the measured program that runs recipes"),
    image_parameter("command", "ls", "the measured program that a small command is"),
)  # fmt: skip

_TOOLS = ("make", "cc", "cc1", "as", "collect2", "ld")


def make(params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> Trace:
    """Return the trace of a build; two random numbers are drawn per command, whatever the ratios are.

    Raises
    ------
    ValueError
        A process does not fit into the geometry's address space.
    """
    build = _Build(params, geometry, rng)
    build.start(0, "make")
    build.make(0, params["make_depth"] - 1)
    build.builder.exit(0)
    return build.builder.build()


def fits(params: dict[str, Any], geometry: Geometry) -> str | None:
    """Return why a process does not fit into the geometry's address space, None if all do."""
    reasons = (misfit(needs_of(image), geometry, region) for image, region in _programs(params).values())
    return next(filter(None, reasons), None)


def _programs(params: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return each program's measured image and the pages of its region."""
    found = {tool: (tool, params["compiler_pages"] if tool == "cc1" else 0) for tool in _TOOLS}
    return found | {role: (params[role], 0) for role in ("shell", "command")}


class _Build:
    """A build: where its programs lie, its parameters, the events so far. A task's number is its depth."""

    def __init__(self, params: dict[str, Any], geometry: Geometry, rng: np.random.Generator) -> None:
        self.builder = TraceBuilder()
        self.params = params
        self.rng = rng
        self.programs: dict[str, Process] = {}
        self.images: dict[str, int] = {}
        for number, (role, (image, region)) in enumerate(_programs(params).items()):
            self.programs[role] = place(needs_of(image), geometry, region)
            self.images[role] = self.builder.image(self.programs[role].layout.image(number))

    def make(self, task: int, below: int) -> None:
        """Let a make start the next, or the last one run all recipes."""
        if below:
            self.create(task, "make", "make")
            self.make(task + 1, below - 1)
            self.builder.exit(task + 1)
            return
        for _ in range(self.params["objects"]):
            self.recipe(task, ["cc1", "as"], self.params["commands"])
        self.create(task, "make", "shell")
        self.create(task + 1, "shell", "cc")
        self.create(task + 2, "cc", "collect2")
        self.run(task + 3, "collect2", "ld")
        for depth in (3, 2, 1):
            self.builder.exit(task + depth)

    def recipe(self, task: int, stages: list[str], commands: int) -> None:
        """Let make run a shell that runs small commands, then the compiler with its stages."""
        self.create(task, "make", "shell")
        for _ in range(commands):
            self.run(task + 1, "shell", "command")
        self.create(task + 1, "shell", "cc")
        for stage in stages:
            self.run(task + 2, "cc", stage)
        self.builder.exit(task + 2)
        self.builder.exit(task + 1)

    def run(self, task: int, creator: str, role: str) -> None:
        """Let a task create a child that runs a program and exits."""
        self.create(task, creator, role)
        self.builder.exit(task + 1)

    def create(self, task: int, creator: str, role: str) -> None:
        """Let a task that runs ``creator`` create a child that execs ``role``, behind a subshell if so drawn."""
        subshell, fork = self.rng.random(2).tolist()
        ratio = self.params["exec_ratio"]
        if subshell < (1 - ratio) / ratio:  # so many subshells for a command make that share of all children
            self.fork(task, creator)
            self.builder.exit(task + 1)
            write(self.builder, task, self.after(creator))
        if fork < self.params["fork_ratio"]:
            self.fork(task, creator)
            self.start(task + 1, role)
            write(self.builder, task, self.after(creator))
        else:
            self.builder.vfork(task, task + 1)
            self.start(task + 1, role)

    def fork(self, task: int, creator: str) -> None:
        """Let a task fork a child that writes before it goes on."""
        self.builder.fork(task, task + 1)
        write(self.builder, task + 1, self.programs[creator].before_exec(self.params["written_before_exec"]))

    def after(self, creator: str) -> list[Any]:
        """Return what a parent writes after a fork."""
        return self.programs[creator].again(self.params["parent_writes"])

    def start(self, task: int, role: str) -> None:
        """Let a task exec a program."""
        self.programs[role].start(self.builder, task, self.images[role])


BUILD_WORKLOAD = Workload(
    name="build",
    prose="make compiles one object after another and links them: shells, small commands, the compiler's driver, the "
    "compiler proper and the assembler, most of them created by vfork and nearly all exec'ing.",
    source="A kernel build traced on Linux 6.18: for each object 8.5 processes created and 11,800 minor faults; 7 % "
    "of the creations are forks, the others vforks; 0.99 of the children exec; processes are at most 7 deep. With "
    "the defaults and under mainline: 8.4 processes and about 11,800 faults. The programs are measured on a small "
    "source. 17 pages before exec and 11 by the parent are those of shells and of make on the same kernel. ASSUMED: "
    "compiler_pages, set so that the faults come out; which commands a recipe runs; that nothing runs in parallel.",
    parameters=PARAMETERS,
    make=make,
    fits=fits,
)
