"""The README says what is so: its findings are the committed ones, its paths and commands exist."""

import re

from helpers.reporting import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_findings_are_those_of_the_committed_runs():
    table = [line for line in (ROOT / "report/findings.md").read_text().splitlines() if line.startswith("|")]
    assert len(table) == 6
    assert "\n".join(table) in README


def test_it_stays_short():
    assert len(README.splitlines()) <= 150


def test_every_make_target_exists():
    targets = " ".join(re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)).split()
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
    assert {"demo", "test", "quick", "overnight", "replicate", "published", "estimate", "status"} <= named
    assert named - set(targets) == set()
