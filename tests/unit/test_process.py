"""A process of a measured program: its pages lie where they should, and a study may not give it two sizes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from profiles import X86_64

from pipeline.plan import make_plan
from pipeline.study import Study
from pipeline.workload_entries import Grid
from simcore import DESIGNS
from simcore.simulate import simulate
from simcore.workloads import WORKLOADS
from simcore.workloads.footprints import FOOTPRINTS
from simcore.workloads.parameters import defaults
from simcore.workloads.process import needs_of, place

WITH_IMAGE = ["tree", "shell", "snapshot"]


@pytest.mark.parametrize("name", FOOTPRINTS)
def test_process__has_the_measured_pages(name):
    """Each sort of anonymous page, text, libraries and other files are as many as were measured, none twice."""
    measured, layout = FOOTPRINTS[name], place(needs_of(name), X86_64).layout
    sorts = [len(pages) for pages in (layout.stack, layout.data, layout.library_data, layout.heap)]
    assert sorts == [measured.stack, measured.data, measured.library_data, measured.heap + measured.anon]
    files = [len(pages) for pages in (layout.text, layout.library, layout.archive)]
    assert files == [measured.text, measured.library, measured.archive]
    everything = np.concatenate([*layout[:5], layout.archive, layout.stack])
    assert len(np.unique(everything)) == measured.anon_pages + measured.file_pages


@pytest.mark.parametrize("name", FOOTPRINTS)
def test_process__lies_in_about_as_many_leaf_tables(name):
    """Within a quarter, or two tables, of what was measured: where the kernel puts mappings is drawn for each run."""
    measured, layout = FOOTPRINTS[name], place(needs_of(name), X86_64).layout
    tables = layout.tables(np.concatenate([*layout[:5], layout.archive, layout.stack]))
    assert abs(tables - measured.leaf_tables) <= max(2, measured.leaf_tables // 4)


def test_region_and_shm__lie_behind_each_other_in_tables_of_their_own():
    """A region of 600 pages takes two leaf tables, the shm object begins with the third."""
    process = place(needs_of("sleep"), X86_64, region=600, shm=5)
    assert process.region.start % 512 == process.shm.start % 512 == 0
    assert process.shm.start - process.region.start == 1024
    assert (len(process.region_pages), len(process.shm_pages)) == (600, 5)


@pytest.mark.parametrize("name", WITH_IMAGE)
def test_image__brings_its_sizes(name):
    """With an image the root or the shell has as many pages resident as were measured."""
    workload = WORKLOADS[name]
    small = {"tree": {"depth": 0, "fan_out": 1}} if name == "tree" else {"children": 1}
    small |= {"anon_pages": 7} if name == "snapshot" else {}  # a mapping beside the program there
    trace = workload.make(defaults(workload) | small | {"image": "bash"}, X86_64, np.random.default_rng(0))
    bash = FOOTPRINTS["bash"]
    counts = simulate(trace, DESIGNS["linux24"], X86_64).counts()
    assert counts["rss_pages_max"] >= bash.anon_pages + bash.file_pages
    assert trace.image_rows["count"].sum() >= bash.anon_pages + bash.file_pages


@pytest.mark.parametrize("name", ["tree", "shell"])
def test_image__and_another_size_are_refused(name):
    """Whoever names an image and a size is told which; make and fits say the same."""
    workload = WORKLOADS[name]
    params = defaults(workload) | {"image": "bash", "anon_pages": 61}
    reason = workload.fits(params, X86_64)
    assert "image: 'bash' brings sizes of its own, but anon_pages is 61; one of the two is allowed" in reason
    with pytest.raises(ValueError, match="leave anon_pages out, or take image 'own'"):
        workload.make(params, X86_64, np.random.default_rng(0))
    assert workload.fits(defaults(workload) | {"image": "bash"}, X86_64) is None


@pytest.mark.parametrize("name", WITH_IMAGE)
def test_image__of_the_default_keeps_the_ids_of_traces(name):
    """A parameter that came later is no part of an id while it has its default, and is one with any other value."""
    params = defaults(WORKLOADS[name])
    before = {key: value for key, value in params.items() if key != "image"}
    study = Study("ids", "Do ids move?", "x86-64", "pc-2002", 0, 1, "linux24", None, ("linux24",), (), "")

    def trace_of(given):
        cells = make_plan(dataclasses.replace(study, grids=(Grid(name, given, {}),)), "0").cells
        return cells[0].trace

    assert trace_of(params).trace_id == trace_of(before).trace_id
    assert trace_of(params).params["image"] == "own"
    assert trace_of(params | {"image": "sh"}).trace_id != trace_of(before).trace_id
