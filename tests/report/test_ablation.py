"""The ablations: which a report has, and what each step changes."""

from itertools import product

from helpers.methods import method, results
from helpers.reporting import ROOT, evidence, protocol_settings

from selfdistill.config.load import load_config
from selfdistill.config.reading import read_yaml
from selfdistill.report.ablation import changed, table

PATH = {"Path": ["control", "kd", "both"]}

# Which a report has


def test_our_ablations_are_of_methods_that_there_are():
    config = load_config([ROOT / "config.yaml"])
    paths = read_yaml(ROOT / "workflow/ablations.yaml")["ablations"]
    assert config.ablations == paths
    assert all(len(path) > 1 and set(path) <= config.methods.keys() for path in paths.values())


def test_a_report_has_the_rows_of_an_ablation():
    assert protocol_settings("quick_arms").ablations["Knowledge distillation"] == ["control", "kd", "kd_replaced_stem"]
    assert "Self-distillation as in the notebooks" in protocol_settings("attribution").ablations


def test_a_single_step_is_a_difference_and_no_ablation():
    assert protocol_settings("quick").ablations == {}
    assert "The stem" not in protocol_settings("quick_arms").ablations


def test_a_users_ablation_joins_ours(tmp_path, refused):
    mine = tmp_path / "mine.yaml"
    mine.write_text("ablations: {Mine: [teacher, kd]}\n")
    assert load_config([ROOT / "config.yaml", mine]).ablations.keys() >= {"Mine", "Self-distillation"}
    mine.write_text("ablations: {Mine: [teacher, kdd]}\n")
    with refused(78, "ablations.Mine.1", "'kdd'", "kd"):
        load_config([ROOT / "config.yaml", mine])


# The steps


def test_the_steps_by_hand():
    """10 points up, then 5 down; each ± t(2) sqrt(1 + 1), as both sides have s = sqrt(2)."""
    kd = method("kd", [89, 91], objective="knowledge_distillation")
    both = method("both", [84, 86], objective="self_distillation", batch_size=64)
    rows = table(results(method("control", [79, 81]), kd, both, ablations=PATH)).csv().splitlines()
    assert rows[1:] == [
        "Path,,control,control,,80.00,,,,2",
        "Path,control,kd,kd,objective,90.00,10.00,3.92,16.08,2",
        'Path,kd,both,both,"batch size, objective",85.00,-5.00,-11.08,1.08,2',
    ]


def test_every_committed_step_changes_one_setting():
    assert {row[4] for row in table(evidence()).rows} == {None, "objective", "replaced stem", "teacher"}


def test_what_differs():
    rows = {row.method: row for row in protocol_settings("controlled").rows}
    steps = {
        ("control", "kd"): ["objective"],
        ("kd", "kd_replaced_stem"): ["replaced stem"],
        ("kd", "born_again"): ["teacher"],
        ("kd", "kd_cifar_stem"): ["teacher"],
        ("kd", "kd_noise"): ["label noise", "teacher"],
        ("control", "control_noise"): ["label noise"],
        ("self_distillation", "sd_undetached"): ["detach"],
        ("self_distillation", "sd_conv1x1"): ["final head", "heads"],
        ("kd", "kd"): [],
    }
    assert {(a, b): changed(rows[b], rows[a]) for a, b in steps} == steps


def test_teachers_differ_by_the_methods_that_trained_them_and_by_their_number():
    network = {"model": "resnet18", "stem": "cifar"}
    one, other, three = (
        method("kd", [1], teacher=network | size, teachers=[names]).row
        for size, names in (
            ({}, ["control/seed1", "other/seed0"]),
            ({}, ["control_60/seed1"]),
            ({"members": 3}, [f"control/seed{n}" for n in (1, 2, 3)]),
        )
    )
    assert [changed(*pair) for pair in product((one, other, three), repeat=2)].count(["teacher"]) == 6
