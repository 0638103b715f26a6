"""Styles become classes, the policy names hashes, numbers become addresses."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import unquote

import pandas as pd

from pipeline.report.canvas import thinned
from pipeline.report.sealing import csv_link, lifted, policy


def test_lifted__equal_styles_share_a_class():
    """Each distinct style has one rule; text that only looks like an attribute stays."""
    body, style = lifted(
        '<p style="fill: none; x: 1">a</p><g id="b" style="y: 2"/><i style="fill: none; x: 1"/> style=&#34;z'
    )
    assert body == '<p class="s0">a</p><g id="b" class="s1"/><i class="s0"/> style=&#34;z'
    assert style == ".s0{fill:none;x:1}\n.s1{y:2}"


def test_policy__allows_nothing_but_what_is_hashed():
    """Both hashes are those of the exact texts."""
    found = policy("a{}", "f()")
    for kind, text in (("style", "a{}"), ("script", "f()")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in found
    assert found.startswith("default-src 'none';")


def test_csv_link__holds_what_the_frame_holds():
    """Quotes, commas, hashes and percent signs survive; nothing ends the attribute or the address."""
    link = csv_link(pd.DataFrame({"design": ['a"b,c', "<d>#50 %"], "x": [1 / 3, float("nan")]}))
    assert not set('"<># ') & set(link)
    assert unquote(link.partition(",")[2]) == 'design,x\n"a""b,c",0.333333\n<d>#50 %,\n'


def test_thinned__keeps_the_count_the_longest_and_what_can_be_told_apart():
    """No event is lost, no share is drawn too low, and few steps are left as they are."""
    us = [1 + number / 1000 for number in range(100_000)]
    many = pd.DataFrame({"design": "a", "us": us, "times": 2})
    thin = thinned(many)
    assert 500 < len(thin) <= 1001
    assert thin["times"].sum() == 200_000
    assert thin["us"].max() == us[-1]
    for limit in (1.5, 10, 50):
        assert (thin["times"][thin["us"] > limit]).sum() >= (many["times"][many["us"] > limit]).sum()
    few = pd.DataFrame({"design": ["a", "a", "b"], "us": [1.0, 2.0, 1.5], "times": [1, 2, 3]})
    assert thinned(few)[["design", "us", "times"]].to_numpy().tolist() == few.to_numpy().tolist()
