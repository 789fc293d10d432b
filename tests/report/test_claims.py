"""The paper's claims: the file, the declaration, each kind's rule and verdict, and what each protocol judges."""

import re
import shutil

import numpy as np
import pytest
from helpers.invented import CLAIMS, results, settings, write_logs
from helpers.paper import is_quoted, needs_paper

from selfdistill.config.load import load_config
from selfdistill.config.reading import read_yaml
from selfdistill.config.settings import to_yaml
from selfdistill.report import claims as module
from selfdistill.report.claims import asked, claims, declaration, fingerprint, judge, read_claims
from selfdistill.report.planning import seed_lines
from selfdistill.statistics.differences import Difference, Variance
from selfdistill.statistics.intervals import t_quantile
from selfdistill.statistics.power import seeds_needed

METHODS = list(load_config([CLAIMS.parents[1] / "config.yaml"]).methods)
FULL = ("paper", "as_run", "controlled", "attribution")
FOUR = "seeds=[0,1,2,3]"


@pytest.fixture(scope="module")
def read():
    return read_claims(CLAIMS, METHODS)


@pytest.fixture(scope="module")
def claim(read):
    return {claim.id: claim for claim in read.claims}


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
    for path in (CLAIMS, CLAIMS.with_suffix(".sha256.yaml")):
        shutil.copy(path, tmp_path)
    shutil.copytree(CLAIMS.parent / "protocols", tmp_path / "protocols")
    for name in ("judging", "kinds", "explanations"):
        shutil.copy(module.__file__.replace("claims.py", f"{name}.py"), tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "claims.py"))
    return tmp_path


@pytest.mark.parametrize(
    "name", ["claims.yaml", "judging.py", "kinds.py", "explanations.py", "protocols/controlled.yaml"]
)
def test_a_change_of_the_rules_or_of_the_code_that_judges_shows_as_amended(name, copy):
    assert fingerprint(copy / "claims.yaml") == fingerprint(CLAIMS)
    with (copy / name).open("a") as file:
        file.write("# changed\n")
    said = declaration(copy / "claims.yaml")
    assert said.startswith("The rules are amended: declared on 2026-11-29, before any full-scale run (SHA-256 ")


WRONG = {
    "an unknown key": (lambda v: v["claims"][0].update(vlaue=3), "claims.0.level.vlaue: unknown key"),
    "an unknown kind": (lambda v: v["claims"][0].update(kind="rumour"), "claims.0"),
    "a level above 100": (lambda v: v["claims"][0].update(published=900), "claims.0.level.published"),
    "no quote": (lambda v: v["claims"][0].pop("quote"), "claims.0.level.quote: missing"),
    "an id twice": (lambda v: v["claims"][1].update(id="C1"), "claims.1.C1: this id is given twice"),
    "an unknown method": (
        lambda v: v["claims"][1].update(method="kdd"),
        "claims.1.C2: expected one of teacher, kd, ",
    ),
    "a margin of 0": (lambda v: v["rules"].update(margin=0), "rules.margin: expected a number > 0, got 0"),
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


# The rules in words, and the verdicts on differences


def test_the_rules_in_words(claim, read):
    assert claim["H1"].rule(read.rules) == (
        "Replicated if the 98.3 % interval of the difference lies above 0; contradicted if it lies below 0, or if the"
        " 96.7 % interval lies within ±0.1; otherwise not resolved."
    )
    assert claim["C4"].rule(read.rules).startswith("Replicated if the 95 % interval of the difference lies above 0; ")
    assert claim["H5"].rule(read.rules) == (
        "Replicated if the 98.3 % interval of the difference lies above +1; contradicted if below +1; otherwise not"
        " resolved."
    )
    assert "(+0.1 to +0.3, since two numbers were rounded) and lies between 0 and +0.4: " in claim["H4"].rule(
        read.rules
    )
    assert "all lie below 1; contradicted if none does and at least one lies above 1 at 97.5 %" in claim["V1"].rule(
        read.rules
    )
    said = claim["M5"].rule(read.rules)
    assert "(kd minus control and minus constant_teacher; self_distillation minus control and minus deep_" in said
    assert said.endswith(
        "at 99.4 % (5 % shared by 8); otherwise not resolved."
        " Not replicated while a test accuracy may be lower by 0.5 points or more."
    )


def test_every_rule_is_a_sentence_about_each_verdict(read):
    for one in read.claims:
        words = one.rule(read.rules)
        assert words.startswith("Replicated if ")
        assert "contradicted" in words
        assert words.endswith(".")


def found(low, high, level=1 - 0.05 / 3, freedom=20):
    """A difference whose interval of that level has these ends."""
    error = (high - low) / 2 / t_quantile(level, freedom)
    return Difference((low + high) / 2, (Variance(error**2, freedom),), 14)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.01, 0.4, "replicated"),
        (0.001, 0.09, "replicated"),  # however small: the sign is what is claimed
        (-0.4, -0.01, "contradicted"),
        (-0.09, 0.09, "contradicted"),
        (-0.01, 0.21, "not resolved"),  # the 90 % interval is +.03 to +.17: in favour, within the old margin of .2
        (-0.13, 0.13, "not resolved"),  # inside +-.1 at 90 %, and not at the level that the sign is judged at
        (-0.3, 0.5, "not resolved"),
    ],
)
def test_the_sign_of_a_primary_comparison(claim, read, low, high, word):
    assert claim["H3"].word(found(low, high), read.rules) == word


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1.1, 1.5, "replicated"), (0.2, 0.6, "contradicted"), (-0.05, 0.05, "contradicted"), (0.8, 1.2, "not resolved")],
)
def test_much_better_is_better_by_a_point(claim, read, low, high, word):
    assert claim["H5"].word(found(low, high), read.rules) == word


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (3.5, 4.5, "replicated"),
        (0.2, 0.6, "contradicted"),  # a student above its teacher, and by a tenth of what was printed
        (4.3, 4.9, "contradicted"),
        (3.0, 4.05, "replicated"),  # the numbers were rounded
        (-0.5, 8.0, "not resolved"),
        (0.5, 8.5, "not resolved"),
    ],
)
def test_the_size_is_judged_apart_from_the_sign(claim, read, low, high, word):
    assert claim["C5"].word(found(low, high, level=0.95), read.rules) == word


# The verdicts on runs


@pytest.fixture
def verdict_of(claim, read, tmp_path):
    """The verdict on a claim from invented runs of its methods in a protocol, four seeds each."""

    def judged(name, protocol="paper", *, overlays=(FOUR,), **logs):
        found, methods = settings(protocol, *overlays), claim[name].methods_of(read.rules)
        found = found.model_copy(update={"rows": [row for row in found.rows if row.method in methods]})
        write_logs(tmp_path / "logs", found, **logs)
        return judge(claim[name], results(tmp_path / "logs", found), read.rules)

    return judged


@pytest.mark.parametrize(
    ("points", "word"), [(0.2, "replicated"), (3.0, "contradicted"), (-3.0, "contradicted"), (0.75, "not resolved")]
)
def test_a_level(verdict_of, points, word):
    verdict = verdict_of("C2", better={"kd": points})
    assert verdict.word == word
    assert re.fullmatch(r"9\d\.\d\d, n = 4; a new run 9\d\.\d\d to 9\d\.\d\d", verdict.here)


@pytest.mark.parametrize(("points", "word"), [(4, "replicated"), (-4, "contradicted"), (0.0, "not resolved")])
def test_a_difference(verdict_of, points, word):
    verdict = verdict_of("H1", better={"kd": points})
    assert verdict.word == word
    assert re.fullmatch(r"[+−]\d\.\d\d \([+−]\d\.\d\d to [+−]\d\.\d\d\), n = 4", verdict.here)


def test_methods_of_another_augmentation_or_precision_are_not_comparable(verdict_of):
    verdict = verdict_of("H1", "as_run", overlays=(), better={"kd": 4})
    assert (verdict.word, verdict.why) == ("not comparable", "different augmentation and precision")


def test_times_on_the_papers_device_in_float32_are_judged(verdict_of):
    assert verdict_of("C7", "as_run", overlays=()).word == "replicated"


@pytest.mark.parametrize(
    ("name", "options", "verdict"),
    [
        ("C6", {}, ("contradicted", "")),  # equal times
        ("C7", {"device": "NVIDIA H100"}, ("not comparable", "NVIDIA H100 in tf32")),
        ("C9", {}, ("contradicted", "")),
    ],
)
def test_costs_and_conditions(verdict_of, name, options, verdict):
    found = verdict_of(name, "as_run", overlays=(), **options)
    assert (found.word, found.why) == verdict


def test_times_in_bfloat16_are_not_comparable(claim, read, verdict_of):
    found = verdict_of("C6")
    assert (found.word, found.why) == ("not comparable", "NVIDIA L4 in bf16")


FEWER = "methods={control: {seeds: null}, kd: {seeds: null}, self_distillation: {seeds: null}}"


def gaps(*methods, size=0.1):
    return {method: {"accuracy_gap": size, "nll_gap": size} for method in methods}


@pytest.mark.parametrize(
    ("measures", "points", "word"),
    [
        (gaps("kd", "self_distillation"), 3, "replicated"),
        (gaps("kd", "self_distillation"), -7, "not resolved"),  # it has learned less
        (gaps("kd"), 3, "not resolved"),
        (gaps("kd", "self_distillation", size=0.9), 3, "contradicted"),
    ],
)
def test_a_mechanism(verdict_of, measures, points, word):
    better = dict.fromkeys(("kd", "self_distillation"), points)
    verdict = verdict_of("M5", "controlled", overlays=(FOUR, FEWER), measures=measures, better=better)
    assert verdict.word == word
    assert verdict.why == ("the test accuracy may be lower" if points < 0 else "")


def test_a_measure_that_a_run_lacks_leaves_it_open(verdict_of):
    verdict = verdict_of("M7", "quick_arms", overlays=(), measures={"control": {"stage4_silhouette": None}})
    assert (verdict.word, verdict.why) == ("here: not resolved", "a value is missing or does not vary")


def test_variance_and_convergence(claim, read, tmp_path, monkeypatch):
    found = settings("paper", FOUR)
    write_logs(tmp_path, found)
    runs = results(tmp_path, found)
    spread = {"control": [90, 92, 94, 96], "kd": [93.0, 93.1, 93.0, 93.1], "self_distillation": [93.9, 94, 94.1, 94]}
    accuracies = property(lambda method: np.array(spread[method.method], dtype=float))
    monkeypatch.setattr(type(runs.control), "accuracy", accuracies)
    for name in spread:
        runs.methods[name].right = [
            np.array([right[-1] - 100 * (name == "control"), right[-1]]) for right in runs.methods[name].right
        ]
    assert claim["V1"].judge(runs, read.rules).word == "replicated"
    assert claim["K1"].judge(runs, read.rules).word == "replicated"
    spread["kd"] = [80, 85, 90, 95]
    assert claim["V1"].judge(runs, read.rules).word == "not resolved"


# What the protocols judge


def test_every_claim_is_judged_by_a_protocol_with_its_default_seeds(read):
    """Not by `paper`, whose one seed judges none: docs/decisions/0021."""
    wanted = {
        one.id for name in ("as_run", "controlled") for one in read.claims if asked(one, settings(name), read.rules)
    }
    assert wanted == {one.id for one in read.claims}


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
    p = {row[0] for row in table.rows if row[6] is not None}
    assert p == ({"H1", "H2", "H3"} & words.keys() if protocol != "as_run" else set())


def test_the_verdicts_of_as_run_are_not_comparable_only_for_what_the_notebooks_did(read):
    """No run of ours could remove these: the notebooks' own augmentations and precisions differ."""
    rows = {row.method: row.settings for row in settings("as_run").rows}
    assert len({str(rows[name]["augmentation"]) for name in ("teacher", "kd", "self_distillation")}) == 3
    assert rows["control"]["precision"] != rows["self_distillation"]["precision"]


def test_one_seed_judges_nothing_and_says_what_to_write(tmp_path):
    found = settings("paper")
    write_logs(tmp_path, found)
    table = claims(results(tmp_path, found))
    assert {row[5] for row in table.rows} == {"needs 4 seeds"}
    assert {row[0]: row[4] for row in table.rows}["C1"].startswith("9")
    assert "Too few seeds judge nothing: `seeds: [0, 1, 2, 3]` in the configuration judges them all." in table.notes


def test_a_claim_is_judged_once_when_all_seeds_are_there(tmp_path):
    found = settings("paper", FOUR, "allow_missing=true")
    write_logs(tmp_path, found)
    shutil.rmtree(tmp_path / "kd/seed3")
    table = claims(results(tmp_path, found))
    words = {row[0]: (row[5], row[4]) for row in table.rows}
    assert words["C2"] == words["H1"] == words["H3"] == ("interim", "3 of 4 seeds of kd")
    assert words["H2"][0] == "not resolved"
    assert "A claim is judged once, when all configured seeds of its methods are there." in table.notes


def test_a_reduced_protocol_judges_signs_and_mechanisms_here(tmp_path):
    found = settings("quick_arms")
    write_logs(tmp_path, found, {"self_distillation": -9})
    table = claims(results(tmp_path, found))
    words = {row[0]: row[5] for row in table.rows}
    assert words["H2"] == "here: contradicted"
    assert words.keys().isdisjoint({"C1", "C2", "C3", "C5", "C6", "C7", "C9", "H4", "H5"})
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
        "seeds: too few for 13 of 13 claims; `seeds: [0, 1, 2, 3]` judges them"
    ]
    first, second = seed_lines(load_config([config, folder / "controlled.yaml"]))
    assert first.startswith(
        "seeds: 14 a method find 0.2 points (98.3 % interval, 80 % power, seed sd 0.15); configured: kd"
    )
    assert second.endswith("no number of seeds finds 0.26 points or less")
    assert seed_lines(load_config([config, folder / "quick_arms.yaml"])) == []
