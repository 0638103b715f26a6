"""A Hypothesis state machine tells engine and oracle the same story; a difference shrinks to the shortest one.

Each rule is one kind of event; Hypothesis chooses its details through the shadow of ``traces.RandomTrace``. At the
end the whole story runs in lockstep, compared after every fourth event, and the event that differs is searched for.
60 stories a shipped design and 30 a hybrid; in the deep run 320 each, so more than 10,000 in all.
"""

import pytest
from hybrids import ALL
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from lockstep import assert_lockstep
from traces import DEEP, RandomTrace

from simcore import DESIGNS, Mapping, VmaKind, tiny_geometry
from simcore.acts import ACT
from simcore.events import Op

CHOICES = st.randoms(use_true_random=False, note_method_calls=False)
ALONE = (Op.READ, Op.WRITE, Op.EXEC, Op.EXIT, Op.RECLAIM)  # what a borrower may do
GEOMETRY = tiny_geometry(8, 2)


class Machines(RuleBasedStateMachine):
    """Build a trace rule by rule; ``design`` is set by the subclass that a test makes."""

    design = DESIGNS["linux24"]
    stories: list[bool]  # of each story told so far: was a table unshared

    def __init__(self):
        super().__init__()
        self.story = RandomTrace(0, tasks=4)

    def tell(self, op, choices, wild):
        """Let the shadow write one event of a kind, if it can happen (or, if wild, in any case)."""
        self.story.rng = choices
        waiting = set(self.story.lender.values())
        ready = [task for task in self.story.mapped if task not in waiting]
        task = choices.randrange(self.story.tasks) if wild else choices.choice(ready)
        if wild or op in ALONE or task not in self.story.lender:
            getattr(self.story, f"_{op.name.lower()}")(task, wild)

    @initialize(pages=st.integers(1, 8), late=st.booleans(), wide=st.booleans())
    def begin(self, pages, late, wide):
        """Map memory in four tables, write to one of them or to all, and fork: what follows meets shared tables."""
        story, builder = self.story, self.story.builder
        builder.mmap(0, Mapping(0, 16, VmaKind.ANON))
        builder.mmap(0, Mapping(16, 8, VmaKind.FILE_PRIVATE, writable=True, file=0))
        builder.mmap(0, Mapping(29, 3, VmaKind.STACK))
        builder.write(0, 4, pages)
        if wide:
            builder.write_pages(0, [15, 16, 31])
        builder.fork(0, 1)
        story.mapped[0] = dict.fromkeys(range(24), (True, False)) | dict.fromkeys(range(29, 32), (True, True))
        story.mapped[1] = dict(story.mapped[0])
        if late:
            builder.fork(1, 2)
            story.mapped[2] = dict(story.mapped[0])

    @rule(choices=CHOICES)
    def mmap(self, choices):
        self.tell(Op.MMAP, choices, wild=False)

    @rule(choices=CHOICES)
    def munmap(self, choices):
        self.tell(Op.MUNMAP, choices, wild=False)

    @rule(choices=CHOICES)
    def read(self, choices):
        self.tell(Op.READ, choices, wild=False)

    @rule(choices=CHOICES)
    def write(self, choices):
        self.tell(Op.WRITE, choices, wild=False)

    @rule(choices=CHOICES)
    def fork(self, choices):
        self.tell(Op.FORK, choices, wild=False)

    @rule(choices=CHOICES)
    def vfork(self, choices):
        self.tell(Op.VFORK, choices, wild=False)

    @rule(choices=CHOICES)
    def exec(self, choices):
        self.tell(Op.EXEC, choices, wild=False)

    @rule(choices=CHOICES)
    def exit(self, choices):
        self.tell(Op.EXIT, choices, wild=False)

    @rule(choices=CHOICES)
    def mprotect(self, choices):
        self.tell(Op.MPROTECT, choices, wild=False)

    @rule(choices=CHOICES)
    def dontneed(self, choices):
        self.tell(Op.DONTNEED, choices, wild=False)

    @rule(choices=CHOICES)
    def grow(self, choices):
        self.tell(Op.GROW, choices, wild=False)

    @rule(choices=CHOICES)
    def reclaim(self, choices):
        self.tell(Op.RECLAIM, choices, wild=False)

    @rule(choices=CHOICES, op=st.sampled_from(list(Op)))
    def anything(self, choices, op):
        self.tell(op, choices, wild=True)

    def teardown(self):
        result = assert_lockstep(self.story.builder.build(), self.design, GEOMETRY, every=4)
        self.stories.append(result.acts[ACT["leaf_tables_unshared"]] > 0)


@pytest.mark.parametrize("design", ALL)
def test_state_machine__engine_equals_oracle(design):
    """Whatever story Hypothesis tells, both machines agree; enough stories unshare a table."""
    wanted = 320 if DEEP else 25 if design in DESIGNS else 15
    stories: list[bool] = []
    machine = type("Machines", (Machines,), {"design": ALL[design], "stories": stories})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=wanted,
            stateful_step_count=24,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(stories) >= wanted
    enough = 0.2 * len(stories) if DEEP else 0  # so few stories may have few by chance
    assert not ALL[design].shares_tables or sum(stories) > enough
