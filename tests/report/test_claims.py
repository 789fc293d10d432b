"""The paper's claims: the file, its declaration, and what each protocol judges."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.invented import CLAIMS, results, settings, write_logs
from helpers.paper import is_quoted, needs_paper

from selfdistill import statistics
from selfdistill.config.load import load_config
from selfdistill.config.reading import read_yaml
from selfdistill.config.settings import to_yaml
from selfdistill.report import claims as module
from selfdistill.report.claims import claims, declaration, fingerprint, read_claims
from selfdistill.report.judging import asked, differing
from selfdistill.report.planning import seed_lines
from selfdistill.statistics.power import seeds_needed

METHODS = list(load_config([CLAIMS.parents[1] / "config.yaml"]).methods)
FULL = ("paper", "as_run", "controlled", "attribution")
FOUR = "seeds=[0,1,2,3]"


@pytest.fixture(scope="module")
def read():
    return read_claims(CLAIMS, METHODS)


# The file and its declaration


@needs_paper
def test_every_quote_is_the_papers_own(read):
    assert [claim.id for claim in read.claims if not is_quoted(claim.quote, claim.section)] == []


def test_the_rules_are_those_that_were_declared():
    assert re.fullmatch(r"The rules were declared on .+ \(SHA-256 [0-9a-f]{12}\)\.", declaration(CLAIMS)), (
        "declare them: make declare WORDS='why they changed'"
    )


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The claims, their declaration, the protocols and the code of the rules, to be changed."""
    shutil.copy(CLAIMS, tmp_path)
    declared = CLAIMS.with_suffix(".sha256.yaml")
    dated = re.sub("date: .*", "date: 2026-11-30T22:33Z", declared.read_text())
    (tmp_path / declared.name).write_text(dated)
    shutil.copytree(CLAIMS.parent / "protocols", tmp_path / "protocols")
    for name in ("judging", "kinds", "explanations"):
        shutil.copy(module.__file__.replace("claims.py", f"{name}.py"), tmp_path)
    shutil.copytree(Path(statistics.__file__).parent, tmp_path / "statistics")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "claims.py"))
    monkeypatch.setattr(statistics, "__file__", str(tmp_path / "statistics/__init__.py"))
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("claims.yaml", "judging.py", "kinds.py", "explanations.py", "statistics/differences.py"),
        *("protocols/controlled.yaml", "protocols/as_run.yaml"),
    ],
)
def test_a_change_of_the_rules_or_of_the_code_that_judges_shows_as_amended(name, copy):
    assert (before := fingerprint(copy / "claims.yaml")) == fingerprint(CLAIMS)
    with (copy / name).open("a") as file:
        file.write("# changed\n")
    assert fingerprint(copy / "claims.yaml") != before
    said = declaration(copy / "claims.yaml")
    assert said.startswith("The rules are amended: declared on 2026-11-30, before any full-scale run (SHA-256 ")


@pytest.mark.parametrize(
    ("times", "after"),
    [
        (["2026-11-29T23:00:00Z", "2026-11-30T06:10:00Z"], " and after these runs"),
        (["2026-11-29T23:00:00Z", "2026-11-30T23:59:00Z", ""], " and after some of these runs"),
        (["2026-11-30T23:59:00Z"], ""),  # later on the same day
        ([""], ""),  # of the author's runs it is not known
    ],
)
def test_runs_that_began_before_the_declaration_are_said(times, after, copy):
    runs = [SimpleNamespace(started=started) for started in times]
    assert f", before any full-scale run{after} (SHA-256 " in declaration(copy / "claims.yaml", runs)


WRONG = {
    "an unknown key": (lambda v: v["claims"][0].update(publishd=3), "publishd: unknown key (did you mean published?)"),
    "an id twice": (lambda v: v["claims"][1].update(id="C1"), "claims.1.C1: this id is given twice"),
    "an unknown method": (
        lambda v: v["claims"][1].update(method="kdd"),
        "claims.1.C2: unknown name 'kdd' (did you mean kd?)",
    ),
    "an unknown kind": (
        lambda v: v["claims"][1].update(kind="bettr"),
        "claims.1: kind: expected one of level, better, by, convergence, cost, conditions, mechanism, variance, "
        "got 'bettr' (did you mean better?)",
    ),
    "no kind": (lambda v: v["claims"][1].pop("kind"), "claims.1: lacks the key kind"),
    "a text as a number": (
        lambda v: v["claims"][0].update(published="x"),
        "published: expected a number from 0 to 100",
    ),
    "an unknown primary": (lambda v: v["rules"]["primary"].append(["kd", "H9"]), "rules.primary"),
    "a mechanism without controls": (lambda v: v["rules"]["controls"].pop("kd"), "expected controls in rules.controls"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused_by_its_place(what, tmp_path, refused):
    change, line = WRONG[what]
    values, path = read_yaml(CLAIMS), tmp_path / "claims.yaml"
    change(values)
    path.write_text(to_yaml(values))
    with refused(78, f"error: {path}: ", line):
        read_claims(path, METHODS)


# What the protocols judge


def judged(one, found, rules):
    """Whether a protocol asks about a claim, and compares the claim's methods where it is about a comparison."""
    rows = [row.settings for row in found.rows if row.method in one.methods_of(rules)]
    return asked(one, found, rules) and (one.kind in ("level", "cost", "conditions") or not differing(rows))


def test_every_claim_is_judged_by_a_protocol_with_its_default_seeds(read):
    """Not by `paper`, whose one seed judges none: docs/decisions/0021."""
    protocols = [settings(name) for name in ("as_run", "controlled")]
    assert [one.id for one in read.claims if not any(judged(one, found, read.rules) for found in protocols)] == []


@pytest.mark.parametrize(("protocol", "overlays"), [("paper", (FOUR,)), *((name, ()) for name in FULL[1:])])
def test_complete_runs_of_a_full_protocol_answer_every_claim_that_it_asks_about(protocol, overlays, tmp_path, read):
    found, named = settings(protocol, *overlays), {name for one in read.claims for name in one.methods_of(read.rules)}
    found = found.model_copy(update={"rows": [row for row in found.rows if row.method in named]})
    write_logs(tmp_path, found, {"teacher": -4})
    table = claims(results(tmp_path, found))
    words = {row[0]: row[5] for row in table.rows}
    assert table.rows
    answers = ("replicated", "contradicted", "not resolved", "not comparable: different ")
    assert [name for name, word in words.items() if not word.startswith(answers)] == []
    assert all(row[4] for row in table.rows)
    compared = [row for row in table.rows if row[0].startswith(("C", "H")) and "not comparable" not in row[5]]
    assert all(re.search(r"n = \d|settings|different", row[4]) for row in compared)


def test_one_seed_judges_nothing_and_says_how_many_are_needed(tmp_path):
    found = settings("paper")
    write_logs(tmp_path, found)
    table = claims(results(tmp_path, found))
    assert {row[5] for row in table.rows} == {"needs 4 seeds"}
    assert {row[0]: row[4] for row in table.rows}["C1"].startswith("9")


def test_a_claim_is_judged_once_when_all_seeds_are_there(tmp_path):
    found = settings("paper", FOUR, "allow_missing=true")
    write_logs(tmp_path, found)
    shutil.rmtree(tmp_path / "kd/seed3")
    table = claims(results(tmp_path, found))
    words = {row[0]: (row[5], row[4]) for row in table.rows}
    assert words["C2"] == words["H1"] == words["H3"] == ("interim", "3 of 4 seeds of kd")
    assert words["H2"][0] == "not resolved"
    assert "A claim is judged once, when all configured seeds of its methods are finished." in table.notes


def test_a_reduced_protocol_judges_signs_and_mechanisms_here(tmp_path):
    found = settings("quick_arms")
    write_logs(tmp_path, found, {"self_distillation": -9})
    table = claims(results(tmp_path, found))
    words = {row[0]: row[5] for row in table.rows}
    assert words["H2"] == "here: contradicted"
    assert words.keys().isdisjoint({"C1", "C2", "C3", "C5", "C6", "C7", "C9", "C10", "C11", "H4", "H5"})
    assert all(words[name].startswith("here: ") for name in ("M1", "M4", "M8", "K1"))
    assert words["V1"] == "needs 4 seeds"


def test_the_seeds_of_controlled_are_those_that_its_comparisons_need(read):
    rules = read.rules
    needed = seeds_needed(rules.size, rules.seed_sd, rules.level("kd", "control"))
    seeds = {row.method: len(row.seeds) for row in settings("controlled").rows}
    assert {seeds[name] for pair in rules.primary for name in pair} == {needed}


def test_what_seeds_can_show_is_said_before_they_run():
    config, folder = CLAIMS.parents[1] / "config.yaml", CLAIMS.parent / "protocols"
    assert seed_lines(load_config([config])) == [
        "seeds: too few to judge 14 of 14 claims; `seeds: [0, 1, 2, 3]` is enough"
    ]
    first, second = seed_lines(load_config([config, folder / "controlled.yaml"]))
    assert first.startswith(
        "seeds: 14 per method detect 0.2 points (98.3 % interval, 80 % power, seed sd 0.15); configured: kd"
    )
    assert second.endswith("no number of seeds detects 0.26 points or less")
    assert seed_lines(load_config([config, folder / "quick_arms.yaml"])) == []
    alone = load_config([config, folder / "controlled.yaml"], ["methods={kd: {teacher_seed: 0}}"])
    (line,) = seed_lines(alone)
    assert line.startswith("seeds: all runs of kd, ")
    assert line.endswith(" share one teacher, so no number of seeds gives an interval")
    overlay = "methods={kd: {teacher_seed: 0}, born_again: {teacher: kd, teacher_seed: same}}"
    (line,) = seed_lines(load_config([config, folder / "controlled.yaml"], [overlay]))
    assert ", born_again, " in line  # its teachers share one
