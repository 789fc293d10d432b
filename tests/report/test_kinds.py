"""Each kind of claim: its rule in words, and its verdict on differences and on invented runs."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.invented import CLAIMS, results, settings, write_logs

from selfdistill.config.load import load_config
from selfdistill.report.claims import read_claims
from selfdistill.report.explanations import Several
from selfdistill.report.judging import judge
from selfdistill.statistics.differences import Difference, Variance
from selfdistill.statistics.intervals import t_quantile

FOUR = "seeds=[0,1,2,3]"


@pytest.fixture(scope="module")
def read():
    return read_claims(CLAIMS, list(load_config([CLAIMS.parents[1] / "config.yaml"]).methods))


@pytest.fixture(scope="module")
def claim(read):
    return {claim.id: claim for claim in read.claims}


# The rules in words, and the verdicts on differences


def test_a_rule_says_its_numbers(claim, read):
    """Its interval, its limits and its number of comparisons; the declared hash covers the words."""
    rules = {name: claim[name].rule(read.rules) for name in ("H1", "H4", "H5", "V1", "M5")}
    assert rules["H1"] == (
        "Replicated if the 98.3 % interval of the difference (kd minus control) lies above 0; contradicted if it lies"
        " below 0, or if the 96.7 % interval lies within ±0.1; otherwise not resolved."
    )
    assert " overlaps +0.1 to +0.3 " in rules["H4"]
    assert "lies between 0 and +0.4; " in rules["H4"]
    assert " lies above +1; contradicted if below +1; " in rules["H5"]
    assert " lies above 1 at 97.5 % " in rules["V1"]
    assert " at 99.4 % (Bonferroni, 8); " in rules["M5"]
    assert ", with those of the test accuracy above −0.5; " in rules["M5"]
    assert " below 0 in “Training minus test accuracy” and “Test minus training NLL”, " in rules["M5"]


def found(low, high, level, freedom=20):
    """A difference whose interval of that level has these ends."""
    error = (high - low) / 2 / t_quantile(level, freedom)
    return Difference((low + high) / 2, (Variance(error**2, freedom),))


BONFERRONI = 1 - 0.05 / 3


@pytest.mark.parametrize(
    ("name", "level", "low", "high", "word"),
    [
        ("H3", BONFERRONI, 0.01, 0.4, "replicated"),
        ("H3", BONFERRONI, 0.001, 0.09, "replicated"),  # however small: the sign is what is claimed
        ("H3", BONFERRONI, -0.4, -0.01, "contradicted"),
        ("H3", BONFERRONI, -0.09, 0.09, "contradicted"),
        ("H3", BONFERRONI, -0.01, 0.21, "not resolved"),  # the 90 % interval is +.03 to +.17: in favour
        ("H3", BONFERRONI, -0.13, 0.13, "not resolved"),  # inside +-.1 at 90 %, and not at the level of the sign
        ("H3", BONFERRONI, -0.3, 0.5, "not resolved"),
        ("H5", BONFERRONI, 1.1, 1.5, "replicated"),  # much better is better by a point
        ("H5", BONFERRONI, 0.2, 0.6, "contradicted"),
        ("H5", BONFERRONI, -0.05, 0.05, "contradicted"),
        ("H5", BONFERRONI, 0.8, 1.2, "not resolved"),
        ("C5", 0.95, 3.5, 4.5, "replicated"),  # the size is judged apart from the sign
        ("C5", 0.95, 0.2, 0.6, "contradicted"),  # a student above its teacher, and by a tenth of what was printed
        ("C5", 0.95, 4.3, 4.9, "contradicted"),
        ("C5", 0.95, 3.0, 4.05, "replicated"),  # the numbers were rounded
        ("C5", 0.95, -0.5, 8.0, "not resolved"),
        ("C5", 0.95, 0.5, 8.5, "not resolved"),
    ],
)
def test_a_verdict_on_a_difference(claim, read, name, level, low, high, word):
    assert claim[name].word(found(low, high, level), read.rules) == word


class Opposed(Several):
    """A claim whose comparisons have these intervals."""

    ends: list[tuple[float, float]]

    def methods_of(self, rules):
        return []

    def comparisons(self, results, rules):
        return [(1, found(*ends, level=0.95).interval) for ends in self.ends]


@pytest.mark.parametrize(
    ("ends", "word"),
    [
        ([(0.1, 0.5), (0.1, 0.9)], "replicated"),
        ([(0.1, 0.5), (-0.1, 0.9)], "not resolved"),
        ([(-0.9, -0.5), (-0.1, 0.9)], "contradicted"),
        ([(-0.9, -0.01), (-0.1, 0.9)], "not resolved"),  # below 0 at 95 %, and not where two share .05
        ([(-0.9, -0.5), (0.1, 0.9)], "not resolved"),  # one against the claim, and one for it
    ],
)
def test_a_claim_on_several_comparisons(read, ends, word):
    assert Opposed(id="X", quote="q", section="I", ends=ends).judge(None, read.rules).word == word


def test_both_sides_are_counted_at_95_percent(read):
    ends = [(-0.9, -0.01), (-0.1, 0.9)]
    verdict = Opposed(id="X", quote="q", section="I", ends=ends).judge(None, read.rules)
    assert verdict.here == "0 of 2 as claimed, 1 opposite, n = "


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


@pytest.mark.parametrize(
    ("accuracies", "word"),
    [
        ([94.1, 94.3, 94.5, 94.3], "replicated"),
        ([94.5, 94.51, 94.5, 94.49], "not resolved"),
        ([93, 93, 95, 98], "not resolved"),
    ],
)
def test_a_level_must_be_near_our_mean_and_within_what_a_new_run_can_give(claim, read, accuracies, word):
    spread = SimpleNamespace(mean=np.mean(accuracies))
    runs = SimpleNamespace(accuracy=np.array(accuracies), spread=spread, teachers=[()] * 4, runs=[None] * 4)
    assert claim["C2"].judge(SimpleNamespace(methods={"kd": runs}), read.rules).word == word


@pytest.mark.parametrize(("points", "word"), [(4, "replicated"), (-4, "contradicted"), (0.0, "not resolved")])
def test_a_difference(verdict_of, points, word):
    verdict = verdict_of("H1", better={"kd": points})
    assert verdict.word == word
    assert re.fullmatch(r"[+−]\d\.\d\d \([+−]\d\.\d\d to [+−]\d\.\d\d\), n = 4", verdict.here)


def test_methods_of_another_augmentation_or_precision_are_not_comparable(verdict_of):
    verdict = verdict_of("H1", "as_run", overlays=(), better={"kd": 4})
    assert (verdict.word, verdict.why) == ("not comparable", "different augmentation and precision")


@pytest.mark.parametrize(
    ("name", "protocol", "options", "verdict"),
    [
        ("C7", "as_run", {}, ("replicated", "")),  # on the paper's device, in float32
        ("C6", "as_run", {}, ("contradicted", "")),  # equal times
        ("C7", "as_run", {"device": "NVIDIA H100"}, ("not comparable", "NVIDIA H100 in tf32")),
        ("C6", "paper", {}, ("not comparable", "NVIDIA L4 in bf16")),
        ("C9", "as_run", {}, ("contradicted", "")),
    ],
)
def test_costs_and_conditions(verdict_of, name, protocol, options, verdict):
    found = verdict_of(name, protocol, overlays=(FOUR,) if protocol == "paper" else (), **options)
    assert (found.word, found.why) == verdict


FEWER = "methods={control: {seeds: null}, kd: {seeds: null}, self_distillation: {seeds: null}}"


def gaps(*methods, size=0.1):
    return {method: {"accuracy_gap": size, "nll_gap": size} for method in methods}


@pytest.mark.parametrize(
    ("measures", "points", "word"),
    [
        (gaps("kd", "self_distillation"), 3, "replicated"),
        (gaps("kd"), 3, "not resolved"),
        (gaps("kd", "self_distillation", size=0.9), 3, "contradicted"),
    ],
)
def test_a_mechanism(verdict_of, measures, points, word):
    better = dict.fromkeys(("kd", "self_distillation"), points)
    verdict = verdict_of("M5", "controlled", overlays=(FOUR, FEWER), measures=measures, better=better)
    assert verdict.word == word


@pytest.mark.parametrize("name", ["M1", "M3", "M5"])
@pytest.mark.parametrize(
    ("points", "word", "why"),
    [(3, "replicated", ""), (-20, "not resolved", "the test accuracy may be lower")],
)
def test_a_network_that_has_learned_less_does_not_pass(verdict_of, claim, name, points, word, why):
    """It has flat minima, smooth boundaries and a small gap."""
    ends = {measure: 0.9 if side == "higher" else 0.1 for measure, side in claim[name].measures.items()}
    measures = dict.fromkeys(("kd", "self_distillation"), ends)
    better = dict.fromkeys(measures, points)
    verdict = verdict_of(name, "controlled", overlays=(FOUR, FEWER), measures=measures, better=better)
    assert (verdict.word, verdict.why) == (word, why)


def test_a_measure_that_a_run_lacks_leaves_it_open(verdict_of):
    verdict = verdict_of("M7", "quick_arms", overlays=(), measures={"control": {"stage4_silhouette": None}})
    assert (verdict.word, verdict.why) == (
        "here: not resolved",
        "a value is missing or does not vary, or runs share a teacher",
    )


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
        runs.methods[name].tested = [np.array([199, 200])] * 4
    assert claim["V1"].judge(runs, read.rules).word == "replicated"
    sooner = claim["K1"].judge(runs, read.rules)  # half of the point that the control's first epoch is lower
    assert (sooner.word, sooner.here[:6], sooner.here[-5:]) == ("replicated", "+0.58 ", "n = 4")
    spread["kd"] = [80, 85, 90, 95]
    assert claim["V1"].judge(runs, read.rules).word == "not resolved"


def test_runs_with_one_teacher_say_nothing_about_variance(verdict_of):
    verdict = verdict_of("V1", overlays=(FOUR, "methods={kd: {teacher_seed: 0}}"))
    assert (verdict.word, verdict.why[-20:]) == ("not resolved", "runs share a teacher")


def test_convergence_compares_the_epochs_in_which_all_runs_were_tested(claim, read, tmp_path):
    """A run tested in every tenth epoch is compared with one tested in each: `evaluate_every` never retrains."""
    found = settings("paper", FOUR)
    write_logs(tmp_path, found)
    runs = results(tmp_path, found)
    rising = 5000 + np.arange(1, 201) * 10
    for name in ("control", "self_distillation"):
        runs.methods[name].tested, runs.methods[name].right = [np.arange(1, 201)] * 4, [rising] * 4
    runs.control.tested, runs.control.right = [np.arange(10, 201, 10)] * 4, [rising[9::10]] * 4
    assert claim["K1"].estimate(runs) == "0.00"
    runs.control.tested = [np.arange(201, 221)] * 4
    verdict = claim["K1"].judge(runs, read.rules)
    assert (verdict.word, verdict.here) == ("not resolved", "no epoch in common, n = 4")
