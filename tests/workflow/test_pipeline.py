"""The picture of the workflow against what Snakemake itself says of its rules."""

import re

import pytest
from helpers.snakemake_runs import ROOT, TARGETS, Workflow

from scripts.pipeline import read_pipeline

EVERYTHING = ("all", "claims", "published", "evidence", "ledger", "evaluation", "deviations", "summary", "pdf")


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The rules that make something, and which reads whose files."""
    workflow = Workflow.make(tmp_path_factory.mktemp("pipeline") / "w")
    text = workflow.run("--rulegraph", "dot", *EVERYTHING)
    names = dict(re.findall(r'(\d+)\[label = "([^"]+)"', text))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", text)}
    return set(names.values()) - TARGETS, {edge for edge in edges if not TARGETS & set(edge)}


def test_every_rule_and_every_arrow_is_snakemakes(graph):
    pipeline = read_pipeline(ROOT / "docs/pipeline.yaml")
    rules, edges = graph
    assert len(rules) > 20
    assert pipeline.rules() == rules
    assert pipeline.arrows() == edges
