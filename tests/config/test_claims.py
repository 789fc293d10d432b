from pathlib import Path

import pytest
from helpers.paper import is_quoted, needs_paper

from selfdistill.config.claims import amendment, arms_of, read_claims
from selfdistill.config.reading import read_yaml
from selfdistill.config.settings import to_yaml

CLAIMS = Path(__file__).parents[2] / "workflow" / "claims.yaml"
METHODS = list(read_yaml(CLAIMS.parents[1] / "config.yaml")["methods"])


@pytest.fixture
def values():
    return read_yaml(CLAIMS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "claims.yaml"


def test_the_projects_claims_are_valid_and_of_every_kind():
    claims = read_claims(CLAIMS, METHODS).claims
    assert {"level", "difference", "cost", "conditions"} <= {claim.kind for claim in claims}
    assert {claim.id for claim in claims if claim.kind == "difference"} >= {"H1", "H2", "H3"}


def test_the_projects_claims_are_those_that_were_declared():
    assert amendment(CLAIMS, CLAIMS.with_suffix(".sha256.yaml")) is None


def test_an_edit_shows_as_amended(path, values):
    values["rules"]["margin"] = 0.3
    path.write_text(to_yaml(values))
    said = amendment(path, CLAIMS.with_suffix(".sha256.yaml"))
    assert said.startswith("amended: declared on 2026-11-25 with SHA-256 ")


@needs_paper
def test_every_quote_is_the_papers_own():
    claims = read_claims(CLAIMS, METHODS).claims
    assert [claim.id for claim in claims if not is_quoted(claim.quote, claim.section)] == []


def test_an_unknown_arm_is_one_line_with_its_place(path, values, refused):
    values["claims"][1]["arm"] = "kdd"
    path.write_text(to_yaml(values))
    with refused(78, f"{path}: claims.1.C2: expected one of teacher, kd, ", "got 'kdd'"):
        read_claims(path, METHODS)


WRONG = {
    "an unknown key": (lambda v: v["claims"][0].update(vlaue=3), "claims.0.level.vlaue"),
    "an unknown kind": (lambda v: v["claims"][0].update(kind="rumour"), "claims.0"),
    "a level above 100": (lambda v: v["claims"][0].update(value=900), "claims.0.level.value"),
    "no quote": (lambda v: v["claims"][0].pop("quote"), "claims.0.level.quote"),
    "an id twice": (lambda v: v["claims"][1].update(id="C1"), "claims.1.id: C1 is given twice"),
    "a margin of 0": (lambda v: v["rules"].update(margin=0), "rules.margin: expected a number > 0, got 0"),
    "a family without its claim": (lambda v: v["rules"].update(family=["H9"]), "rules.family: H9 is no difference"),
    "conditions of one": (lambda v: v["claims"][-1].update(arms=["kd"]), "arms"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_claims_file_is_refused_by_its_place(what, path, values, refused):
    change, line = WRONG[what]
    values["claims"] = [claim for claim in values["claims"] if claim["kind"] != "mechanism"]
    change(values)
    path.write_text(to_yaml(values))
    with refused(78, f"error: {path}: ", line):
        read_claims(path, METHODS)


def test_arms_of_a_claim():
    claims = {claim.id: claim for claim in read_claims(CLAIMS, METHODS).claims}
    assert arms_of(claims["C1"]) == ["teacher"]
    assert arms_of(claims["H3"]) == ["self_distillation", "kd"]
    assert arms_of(claims["C9"]) == ["kd", "self_distillation"]
