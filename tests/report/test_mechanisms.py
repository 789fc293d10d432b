import csv
import io

import pytest
from helpers.reporting import report_settings, write_run

from selfdistill.config.claims import Mechanism
from selfdistill.mechanisms.measures import CORRUPTIONS, MEASURES, WEIGHT_NOISE
from selfdistill.report.mechanisms import MechanismTable, _taught, explanation_sheet, read_measured, write_mechanisms
from selfdistill.statistics.seeds import welch
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed, sha256_bytes, write_sealed

CLAIMED = [
    Mechanism(id="M5", kind="mechanism", quote="q", section="II-E", arms=["kd"], measures={"nll_gap": "lower"}),
    Mechanism(id="M8", kind="mechanism", quote="q", section="II-E", arms=["kd"], measures={"cka:teacher": "higher"}),
]
FIGURES = ("flatness", "corruptions", "teachers", "stages", "reliability")
NETWORK = {"model": "resnet18", "stem": "cifar", "width": 8, "classes": 10}
TEACHER = {"weights_sha256": "c" * 64, "replaced_stem": False}
KINDS = {
    "teacher": {"objective": "cross_entropy", "network": NETWORK | {"model": "resnet50"}},
    "control": {"objective": "cross_entropy"},
    "control_noise": {"objective": "cross_entropy", "label_noise": 0.2},
    "kd": {"objective": "knowledge_distillation", "teacher": NETWORK | {"model": "resnet50"}},
    "self_distillation": {"objective": "self_distillation"},
    "sd_noise": {"objective": "self_distillation", "label_noise": 0.2},
    "deep_supervision": {"objective": "deep_supervision"},
    "constant_teacher": {"objective": "constant_teacher"},
}


class Golden:
    """Runs with a few measures each, and the settings of a report on them."""

    def __init__(self, logs):
        self.logs, self.arms = logs, {}

    def add(self, method, *seeds):
        """An arm with the measures of each of its seeds."""
        settings = {"method": method, "network": NETWORK, "label_noise": 0.0} | KINDS[method]
        self.arms[method] = (settings, len(seeds))
        for seed, measures in enumerate(seeds):
            folder = write_run(self.logs, method, seed, [0.5, 0.9])
            run = read_sealed(folder / "run.json")
            run["outputs"]["weights.safetensors"] = f"{method}-{seed}"
            run |= {"settings": settings, "teacher_sha256": TEACHER["weights_sha256"] if method == "kd" else None}
            write_sealed(folder / "run.json", run)
            facts = {"measures": measures, "measured_on": {"train_images": 9}, "teachers": {"teacher": TEACHER}}
            facts |= {"distributions": measures.pop("distributions", {})}
            write_sealed(folder / "mechanisms.json", facts | {"weights_sha256": f"{method}-{seed}"})
        return self

    def settings(self, **options):
        rows = [
            {"method": method, "label": method.upper(), "settings": settings, "seeds": list(range(seeds))}
            for method, (settings, seeds) in self.arms.items()
        ]
        return report_settings(rows, style={}, **options)

    def table(self, **options):
        settings = self.settings(**options)
        return MechanismTable(settings, read_measured(settings, self.logs))

    def row(self, name, **options):
        """The line of a measure in the CSV."""
        lines = csv.DictReader(io.StringIO(self.table(**options).csv()))
        return next(line for line in lines if line["measure"] == name)


@pytest.fixture
def golden(tmp_path):
    return Golden(tmp_path / "logs")


def seeds(name, *values):
    return [{name: value} for value in values]


def probes(golden, kd, control, constant=None, name="stage1_probe"):
    """A control, a KD arm and perhaps a constant teacher, with these values of a measure."""
    golden.add("control", *seeds(name, *control)).add("kd", *seeds(name, *kd))
    return golden.add("constant_teacher", *seeds(name, *constant)) if constant else golden


def test_mean_spread_and_number_of_seeds(golden):
    row = probes(golden, [0.5, 0.6, 0.7], [0.2, 0.4]).row("stage1_probe")
    assert (row["kd_n"], row["control_n"]) == ("3", "2")
    assert float(row["kd_mean"]) == pytest.approx(0.6)
    assert float(row["kd_sd"]) == pytest.approx(0.1)
    assert (row["words"], row["unit"], row["explanation"], row["claimed"]) == (
        *("Linear probe, stage 1", "%", "M2", "higher"),
    )


def test_the_difference_has_welchs_interval(golden):
    ours, theirs = [0.5, 0.6, 0.7], [0.2, 0.4]
    row = probes(golden, ours, theirs).row("stage1_probe")
    expected = welch(ours, theirs)
    found = [float(row[f"kd_minus_control{end}"]) for end in ("", "_low", "_high")]
    assert found == pytest.approx([expected.estimate, expected.low, expected.high])
    assert found[0] == pytest.approx(0.3)


def test_one_seed_has_no_spread_no_interval_and_no_verdict(golden):
    row = probes(golden, [0.6], [0.4]).row("stage1_probe")
    assert (row["kd_sd"], row["kd_minus_control_low"], row["kd_minus_control_high"]) == ("", "", "")
    assert float(row["kd_minus_control"]) == pytest.approx(0.2)
    assert row["kd_verdict"] == "not resolved (n = 1)"


HIGH, MIDDLE, LOW = [0.90, 0.91, 0.92], [0.60, 0.61, 0.62], [0.30, 0.31, 0.32]
WIDE = [0.2, 0.6, 0.9]


@pytest.mark.parametrize(
    ("ours", "control", "constant", "higher", "lower"),
    [
        (HIGH, LOW, None, "not resolved (constant teacher not run)", "contradicted"),
        (HIGH, MIDDLE, LOW, "supported", "contradicted"),
        (MIDDLE, LOW, HIGH, "contradicted", "contradicted"),  # above one control and below the other
        (HIGH, LOW, WIDE, "not supported", "contradicted"),
        (WIDE, MIDDLE, None, "not supported", "not supported"),
        (HIGH, LOW, [0.5], "not resolved (n = 1)", "contradicted"),
        (HIGH, HIGH[:1], None, "not resolved (n = 1)", "not resolved (n = 1)"),
        ([0.5, 0.5], [0.4, 0.4], None, "not resolved (no spread)", "not resolved (no spread)"),
        (HIGH, [0.3, None, 0.32], None, "not measured", "not measured"),
    ],
)
def test_the_verdict_follows_the_rule(ours, control, constant, higher, lower, golden, tmp_path):
    assert probes(golden, ours, control, constant).row("stage1_probe")["kd_verdict"] == higher
    other = probes(Golden(tmp_path / "other"), ours, control, constant, name="flip_rate_0.04")
    assert other.row("flip_rate_0.04")["kd_verdict"] == lower


def test_a_reduced_protocol_withholds_every_verdict(golden):
    probes(golden, HIGH, LOW)
    row = golden.row("stage1_probe", reduced="few epochs")
    assert row["kd_verdict"] == "withheld"
    assert float(row["kd_minus_control_low"]) > 0  # but shows what was measured
    assert "verdicts withheld" in golden.table(reduced="few epochs").markdown()


def test_a_control_that_is_no_row_was_not_run(golden):
    row = probes(golden, HIGH, LOW).row("stage1_probe")
    assert (row["kd_minus_constant_teacher"], row["kd_minus_constant_teacher_low"]) == ("not run", "")
    alone = Golden(golden.logs.parent / "alone").add("kd", *seeds("stage1_probe", *HIGH))
    assert alone.row("stage1_probe")["kd_verdict"] == "not run"
    assert "not run" in alone.table().markdown()


def test_self_distillation_stands_beside_deep_supervision(golden):
    for method, values in (("control", LOW), ("deep_supervision", HIGH), ("self_distillation", MIDDLE)):
        golden.add(method, *seeds("stage1_probe", *values))
    row = golden.row("stage1_probe")
    assert row["self_distillation_verdict"] == "contradicted"  # the heads alone do more
    assert float(row["self_distillation_minus_deep_supervision"]) == pytest.approx(-0.3)
    assert float(row["deep_supervision_minus_control"]) == pytest.approx(0.6)
    assert "deep_supervision_verdict" not in row  # the paper explains nothing of it


def test_under_label_noise_the_control_has_the_same_wrong_labels(golden):
    for method, values in (("control", HIGH), ("control_noise", LOW), ("sd_noise", MIDDLE)):
        golden.add(method, *seeds("stage1_probe", *values))
    row = golden.row("stage1_probe")
    assert float(row["sd_noise_minus_control_noise"]) == pytest.approx(0.3)
    assert row["sd_noise_minus_deep_supervision"] == "not run"


def test_a_network_of_another_shape_is_no_control(golden):
    golden.add("teacher", *seeds("stage1_probe", *HIGH)).add("kd", *seeds("stage1_probe", *HIGH))
    assert golden.row("stage1_probe")["kd_minus_control"] == "not run"


def test_no_direction_no_difference_and_no_verdict(golden):
    row = probes(golden, HIGH, LOW, name="ece_width").row("ece_width")
    assert (row["kd_minus_control"], row["kd_verdict"], row["claimed"]) == ("", "", "")


def test_what_is_shared_with_a_teacher_is_claimed_of_its_students_alone(golden):
    probes(golden, HIGH, LOW, LOW, name="agreement:teacher").add(
        "self_distillation", *seeds("agreement:teacher", *HIGH)
    )
    row = golden.row("agreement:teacher")
    assert row["words"] == "Predictions shared with teacher"
    assert row["kd_verdict"] == "supported"  # beside plain students of the same seeds and the same teacher
    assert (row["self_distillation_minus_control"], row["self_distillation_verdict"]) == ("", "")


def test_corruptions_are_named_after_the_dataset(golden):
    golden.add("control", {"corruption_accuracy": 0.5})
    assert golden.row("corruption_accuracy", dataset="digits")["words"] == "Mean accuracy, digits-C-12 (regenerated)"
    assert "CIFAR-100-C-12 (regenerated)" in golden.table(dataset="cifar100").markdown()
    assert "CIFAR-10-C-12 (regenerated)" in golden.table().markdown()


def test_a_value_that_a_run_lacks_is_left_out_and_said(golden):
    golden.add("control", {"noise_r50": 0.2}, {"noise_r50": None})
    assert golden.row("noise_r50")["control_n"] == "1"
    assert "(n = 1)" in golden.table().markdown()


def test_people_read_percent_and_programs_shares(golden):
    table = probes(golden, [0.5, 0.6, 0.7], [0.2, 0.4]).table()
    line = next(line for line in table.markdown().splitlines() if "Linear probe" in line)
    assert "| 60.00 ± 10.00 |" in line
    assert "| +30.00 [" in line
    assert '"Linear probe, stage 1",%,M2,higher,2,0.3' in table.csv()


def test_latex_has_the_values_and_then_the_claims_of_each_explanation(golden):
    probes(golden, HIGH, LOW).add("self_distillation", {"stage1_probe": 0.5, "agreement:teacher_replaced_stem": 0.5})
    text = golden.table().tex()
    # M2: values, two arms; M6: values (CIFAR-10.1, not run); M8: values
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 5
    assert r"Linear probe, stage 1 (\%) & higher & $+$60.00" in text.replace("+60.00", "$+$60.00")
    assert r"teacher\_replaced\_stem" in text
    assert "(1) CONTROL, n = 3; (2) KD, n = 3; (3) SELF" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_text(path.read_text().replace("0.31", "0.99")), "damaged or edited"),
        (lambda path: reseal(path, weights_sha256="other"), "not of the weights that run.json recorded"),
        (lambda path: reseal(path, measured_on={"train_images": 8}), "on other images"),
        (lambda path: reseal(path, measures={"nonsense": 1.0}), "nonsense: expected a known measure"),
        (lambda path: reseal(path, measures={"nll": "1"}), "nll: expected"),
        (lambda path: reseal(path, teachers=None), "lacks measures"),
        (lambda path: reseal(path, distributions=None), "or distributions"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(change, words, golden, refused):
    probes(golden, HIGH, LOW)
    path = golden.logs / "control" / "seed1" / "mechanisms.json"
    change(path)
    with refused(BAD_DATA, "mechanisms.json", words):
        golden.table()


def reseal(path, **changes):
    write_sealed(path, read_sealed(path) | changes)


def everything(shift):
    """Plausible values of every measure that the figures show."""
    found = {f"noise_accuracy_{size:g}": max(0.1, 0.9 - shift - 20 * size) for size in WEIGHT_NOISE}
    found |= {f"corruption_{kind}": 0.5 + shift + index / 50 for index, kind in enumerate((*CORRUPTIONS, "accuracy"))}
    found |= {"noise_r50": 0.2 + shift, "hessian_top": 90 + 900 * shift, "hessian_top_fitted": 200 - 900 * shift}
    found |= {f"stage{stage}_probe": 0.1 * stage + shift for stage in (1, 2, 3, 4)}
    return found | {"hessian_trace": 500 + 90 * shift, "hessian_trace_fitted": 9000.0}


def test_the_files_are_the_same_bytes_each_time(golden, tmp_path):
    for method, shift in (("control", 0.0), ("kd", 0.05), ("self_distillation", 0.1)):
        golden.add(method, everything(shift), everything(shift + 0.01))
    for folder in ("a", "b"):
        write_mechanisms(golden.settings(), golden.logs, CLAIMED, [], tmp_path / folder)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    figures = {f"mechanisms_{name}.{suffix}" for name in FIGURES for suffix in ("pdf", "png")}
    tables = {f"{name}.{suffix}" for name in ("mechanisms", "explanations") for suffix in ("csv", "md", "tex")}
    assert names == figures | tables
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_figures_of_arms_that_lack_what_they_show_are_drawn_without_it(golden, tmp_path):
    golden.add("kd", {"nll": 1.0})
    write_mechanisms(golden.settings(), golden.logs, [], [], tmp_path)
    assert (tmp_path / "mechanisms_corruptions.png").stat().st_size > 1000


def test_every_measure_has_its_words_and_a_direction_or_none():
    assert {measure.claim for measure in MEASURES.values()} == {"higher", "lower", ""}
    words = [measure.words for measure in MEASURES.values()]
    kinds = [word for word in words if word.startswith("Accuracy, ")]  # of two sources
    assert len(set(words) - set(kinds)) == len(words) - len(kinds)


def test_what_nobody_named_files_for_was_not_run(golden):
    golden.add("control", {"nll": 1.0})
    line = next(line for line in golden.table().markdown().splitlines() if "CIFAR-10.1" in line)
    assert "descriptive only" in line
    assert line.endswith("| not run |")
    assert golden.row("cifar10_1_accuracy")["control_n"] == "0"


ROWS = [[0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]]


def said(rows, accuracy=0.9):
    """What mechanisms.json has of soft targets."""
    return {"rows": rows, "entropy": 1.5, "logit_spread": 2.0, "entropy_counts": [1, 2], "test_accuracy": accuracy}


def predicted(golden, method, seed, errors):
    """Predictions of nine images, three of each class, of which these (class, taken for) are wrong."""
    pairs = [(label, label) for label in (0, 1, 2) for _ in range(3)]
    for label, other in errors:
        pairs[pairs.index((label, label))] = (label, other)
    text = "label,prediction\n" + "".join(f"{label},{other}\n" for label, other in pairs)
    folder = golden.logs / method / f"seed{seed}"
    (folder / "predictions.csv").write_text(text)
    run = read_sealed(folder / "run.json")
    run["outputs"]["predictions.csv"] = sha256_bytes(text.encode())
    write_sealed(folder / "run.json", run)


def test_a_teacher_that_names_alike_classes_agrees_with_the_controls_errors(golden):
    opposite = [[row[k] for k in (0, 2, 1)] for row in ROWS]
    golden.add("control", {"distributions": {"soft_targets": said(ROWS)}}, {"nll": 1.0})
    taught = {"distributions": {"teachers": {"teacher": said(ROWS), "teacher_replaced_stem": said(opposite, 0.1)}}}
    golden.add("kd", taught)
    for seed, errors in enumerate([[(0, 1), (0, 1), (1, 0)], [(0, 2)]]):
        predicted(golden, "control", seed, errors)
    taught_by_own = golden.row("taught_confusion")
    assert 0 < float(taught_by_own["kd_mean"]) < 1
    assert taught_by_own["control_n"] == "0"
    assert float(golden.row("taught_accuracy")["kd_mean"]) == 0.9  # of the one that taught, not the replaced one
    own = float(golden.row("soft_confusion")["control_mean"])
    assert own < 0  # beside the other seed's single error: never its own


def test_teachers_of_one_seed_are_told_of_once(golden):
    intact, replaced = said(ROWS), said(ROWS, 0.1)
    both = {"distributions": {"teachers": {"teacher_replaced_stem": replaced, "teacher": intact}}}
    golden.add("teacher", {}).add("control", dict(both), dict(both)).add("kd", dict(both), dict(both))
    first, second = _taught(read_measured(golden.settings(), golden.logs))
    assert (first.label, first.accuracy) == ("TEACHER", [0.9, 0.9])
    assert (second.label, second.accuracy) == ("TEACHER, stem replaced", [0.1, 0.1])


def test_a_replaced_stem_that_no_row_has_was_not_run(golden):
    golden.add("kd", {"distributions": {"teachers": {"teacher": said(ROWS)}}})
    (_, second) = _taught(read_measured(golden.settings(), golden.logs))
    assert (second.label, second.accuracy) == ("a teacher with a replaced stem", [])


def explained(golden, claims=CLAIMED, **options):
    """The verdicts on claims about mechanisms, and what each rests on."""
    return [(row[4], row[5]) for row in explanation_sheet(golden.table(**options), claims, []).rows]


@pytest.mark.parametrize(
    ("kd", "word", "verdict"),
    [
        ((0.10, 0.11, 0.10), "supported", "replicated"),
        ((0.90, 0.91, 0.90), "contradicted", "contradicted"),
        ((0.50, 0.51, 0.50), "not supported", "not resolved"),
    ],
)
def test_a_claim_on_a_mechanism_follows_its_measures(kd, word, verdict, golden):
    probes(golden, kd, (0.50, 0.51, 0.51), (0.50, 0.51, 0.50), name="nll_gap")
    assert explained(golden)[0] == (f"nll_gap lower: {word}", verdict)


def test_a_claim_on_a_mechanism_needs_all_its_measures(golden):
    both = CLAIMED[0].model_copy(update={"measures": {"nll_gap": "lower", "accuracy_gap": "lower"}})
    gaps = [{"nll_gap": 0.1 + x, "accuracy_gap": 0.5 + x} for x in (0.0, 0.01, 0.0)]
    plain = [{"nll_gap": 0.5 + x, "accuracy_gap": 0.5 + x} for x in (0.0, 0.01, 0.0)]
    golden.add("control", *plain).add("constant_teacher", *plain).add("kd", *gaps)
    (found,) = explained(golden, [both])
    assert found[1] == "not resolved"
    assert "nll_gap lower: supported" in found[0]


def test_a_claimed_measure_that_no_run_has_was_not_measured(golden):
    both = CLAIMED[0].model_copy(update={"measures": {"nll_gap": "lower", "noise_r50": "higher"}})
    probes(golden, LOW, HIGH, HIGH, name="nll_gap")
    assert explained(golden, [both]) == [("nll_gap lower: supported; noise_r50 higher: not measured", "not resolved")]


def test_without_its_cheap_control_a_claim_on_a_mechanism_is_not_replicated(golden):
    probes(golden, LOW, HIGH, name="nll_gap")
    assert explained(golden)[0] == ("nll_gap lower: not resolved (constant teacher not run)", "not resolved")


@pytest.mark.parametrize("other", [{"augmentation": ["crop"]}, {"precision": "bf16"}, {"label_noise": 0.1}])
def test_an_arm_of_another_recipe_is_no_control(other, golden, monkeypatch):
    monkeypatch.setitem(KINDS, "control", KINDS["control"] | other)
    row = probes(golden, HIGH, LOW).row("stage1_probe")
    assert (row["kd_minus_control"], row["kd_verdict"]) == ("not run", "not run")


def test_deep_supervision_with_other_heads_is_no_control(golden, monkeypatch):
    for method, heads in (("self_distillation", "conv1x1"), ("deep_supervision", "fc")):
        monkeypatch.setitem(KINDS, method, KINDS[method] | {"heads": heads})
        golden.add(method, *seeds("stage1_probe", *HIGH))
    golden.add("control", *seeds("stage1_probe", *LOW))
    row = golden.row("stage1_probe")
    assert float(row["self_distillation_minus_control"]) > 0  # which has no heads to compare
    assert row["self_distillation_minus_deep_supervision"] == "not run"


def test_two_runs_that_were_compared_with_each_other_are_one_pair(golden):
    golden.add("control", {"agreement:control": 0.7, "nll": 1.0}, {"agreement:control": 0.9, "nll": 2.0})
    for seed, other in ((0, 1), (1, 0)):
        path = golden.logs / f"control/seed{seed}/mechanisms.json"
        shared = {"control": {"weights_sha256": f"control-{other}", "replaced_stem": False}}
        write_sealed(path, read_sealed(path) | {"teachers": shared})
    (arm,) = read_measured(golden.settings(), golden.logs)
    assert arm.values("agreement:control") == pytest.approx([0.8])  # of both directions
    assert arm.values("nll") == [1.0, 2.0]
    assert golden.row("agreement:control")["control_sd"] == ""  # no spread for one


def test_a_claim_on_a_teacher_is_of_the_one_that_taught(golden):
    values = [{"cka:teacher": value, "cka:another": 0.0} for value in (0.90, 0.91, 0.90)]
    plain = [{"cka:teacher": value, "cka:another": 0.9} for value in (0.50, 0.51, 0.50)]
    golden.add("control", *plain).add("constant_teacher", *plain).add("kd", *values)
    assert explained(golden)[1] == ("cka:teacher higher: supported", "replicated")


def test_a_claim_on_what_was_not_run_says_so(golden):
    golden.add("control", {"nll_gap": 0.1})
    assert explained(golden)[0] == ("not run", "not resolved")


def test_a_reduced_protocol_withholds_its_explanations(golden):
    probes(golden, (0.1, 0.2), (0.5, 0.6), name="nll_gap")
    assert explained(golden, reduced="few images")[0][1] == "withheld"
