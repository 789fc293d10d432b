import yaml

from selfdistill.config.load import validate
from selfdistill.config.methods import Method
from selfdistill.config.reading import merge
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.config.schema import Config
from selfdistill.config.settings import RunSettings, read_settings, run_settings, to_yaml
from selfdistill.system.failures import CONFIGURATION

# A training job's settings


PAPERS_KD = """
method: kd
data: {dataset: cifar10, train_images: 50000, mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.2010]}
network: {model: resnet18, stem: cifar, width: 64, classes: 10}
zero_init_residual: false
final_head: fc
teacher: {model: resnet50, stem: imagenet, width: 64, classes: 10}
replaced_stem: false
objective: knowledge_distillation
parameters: {temperature: 4.0, cross_entropy_weight: 0.5, distillation_weight: 0.5, t_squared: true}
epochs: 200
batch_size: 128
learning_rate: 0.1
schedule: cosine
momentum: 0.9
nesterov: false
weight_decay: 0.0005
augmentation: [crop, flip]
precision: auto
kept_epoch: last
label_noise: 0.0
oddities: []
"""


def test_the_settings_of_the_papers_kd(config):
    assert run_settings(config, "kd") == yaml.safe_load(PAPERS_KD)


# What a block of kd may have: keys that change what is trained, and others.
RESULT = yaml.safe_load("""
    {model: resnet50, stem: imagenet, width: 32, zero_init_residual: true, final_head: conv1x1, replaced_stem: true,
     epochs: 3, batch_size: 64, learning_rate: 0.2, momentum: 0.8, nesterov: true, weight_decay: 0, precision: fp32,
     augmentation: [crop], alpha: 0.4, temperature: 2, t_squared: false, kept_epoch: best_on_test, label_noise: 0.2}
""")
NOT_RESULT = {"label": "x", "published": None, "author_log": 90.0, "seeds": [4], "role": "teacher", "teacher_seed": 0}


def test_keys_of_class_result_and_no_others_change_the_settings(values):
    assert {*RESULT, *NOT_RESULT, "objective", "schedule"} >= set(Method.model_fields)
    values["oddities"] = ["best_on_test", "replaced_stem"]
    before = run_settings(validate(values), "kd")
    for key, value in (RESULT | NOT_RESULT).items():
        found = run_settings(validate(merge(values, {"methods": {"kd": {key: value}}})), "kd")
        assert (found != before) == (key in RESULT), key


def test_augmentations_have_one_order_however_they_are_listed(values):
    written = merge(values, {"same_augmentation": True, "methods": {"kd": {"augmentation": ["flip", "crop"]}}})
    assert run_settings(validate(written), "kd") == run_settings(validate(values), "kd")


def test_how_many_teach_changes_the_settings_and_which_seeds_do_not(values):
    def settings(rule):
        values["methods"]["kd"]["teacher_seed"] = rule
        return run_settings(validate(values), "kd")

    one = settings(0)
    assert "members" not in one["teacher"]  # as it was before there were ensembles
    assert settings([7]) == one
    three = settings([0, 1, 2])
    assert three["teacher"] == one["teacher"] | {"members": 3}
    assert settings([4, 5, 6]) == three


NOT_OF_A_RUN = yaml.safe_load("""
    {protocol: mine, kind: demonstration, seeds: [0, 1], rows: [kd], oddities: [replaced_stem],
     device: cpu, threads: 1, workers: 3, deterministic: false, compile: "on", capture: "off", resume_policy: relaxed,
     evaluate_every: 5, checkpoint: {overhead: 0.5, grace: 3}, logs: elsewhere, allow_missing: true,
     table: {caption: x, label: y}, figures: {width: 7}, explanations: true, mechanisms: {noise_draws: 1},
     same_augmentation: true, sweeps: {kd: {reference: null}},
     ablations: {Mine: [control, kd]}}
""")


def test_a_top_level_key_of_class_run_plan_or_report_leaves_the_settings(values):
    assert NOT_OF_A_RUN.keys() == Config.model_fields.keys() - {"data", "methods", "sweep"}
    before = run_settings(validate(values), "kd")
    for key, value in NOT_OF_A_RUN.items():
        assert run_settings(validate(merge(values, {key: value})), "kd") == before, key


def test_the_data_change_the_settings_and_other_spellings_of_the_same_do_not(values):
    before = run_settings(validate(values), "kd")
    assert "holdout_images" not in before["data"]
    changes = {"dataset": "digits", "train_images": 1000, "holdout_images": 500, "mean": [0.5] * 3, "std": [0.25] * 3}
    for key, value in changes.items():
        sweep = {"sweep": ["kd"]} if key == "holdout_images" else {}
        assert run_settings(validate(merge(values, {"data": {key: value}} | sweep)), "kd") != before, key
    for change in ({"archives": [{"path": "somewhere", "sha256": "a" * 64}]}, {"train_images": 50_000}):
        assert run_settings(validate(merge(values, {"data": change})), "kd") == before


def test_a_student_knows_its_teachers_network_alone(values):
    before = run_settings(validate(values), "kd")
    values["methods"]["teacher"] |= {"epochs": 3, "learning_rate": 1}
    assert run_settings(validate(values), "kd") == before
    values["methods"]["teacher"]["width"] = 32
    assert run_settings(validate(values), "kd")["teacher"] == before["teacher"] | {"width": 32}


# What the report knows


def test_a_report_row_has_label_seeds_and_the_papers_numbers(config):
    row = report_settings(config)["rows"][1]
    assert row.pop("settings") == run_settings(config, "kd")
    assert row == {
        "method": "kd",
        "label": "ResNet18 (Student, KD)",
        "seeds": [0],
        "epochs": 200,
        "published": {"accuracy": 94.2, "time": "2h 13m 06s"},
        "author_log": 94.19,
        "teachers": [["teacher/seed0"]],
    }


def test_a_row_knows_all_runs_that_teach_it_once_each(values):
    values["seeds"], values["rows"] = [0, 1], ["control", "kd", "self_taught", "kd_ensemble"]
    values["methods"]["kd"] |= {"teacher_seed": 7}
    values["methods"]["self_taught"] = {"like": "kd", "label": "x", "teacher": "kd", "teacher_seed": "next"}
    values["methods"]["kd_ensemble"] |= {"teacher": "born_again", "teacher_seed": [5, 6]}
    values["methods"]["born_again"] |= {"teacher_seed": 1}
    teachers = [row["teachers"] for row in report_settings(validate(values))["rows"]]
    assert teachers == [
        [[], []],
        [["teacher/seed7"]] * 2,
        [["kd/seed1", "teacher/seed7"], ["kd/seed0", "teacher/seed7"]],
        [["born_again/seed5", "born_again/seed6", "control/seed1"]] * 2,
    ]


def test_the_report_knows_every_run_that_may_lie_there(values):
    values["seeds"], values["rows"] = [0, 1], ["control"]
    values["methods"]["kd"] |= {"teacher_seed": 7}
    known = report_settings(validate(values))["known"]
    assert known.keys() == values["methods"].keys()
    more = {method: [0, 1, 7] for method in known if method.startswith("teacher")}  # of kd, and of the methods like it
    # The row has its own seeds alone, not those that would teach kd_ensemble, which is no row.
    assert all(known[method] == more.get(method, [0, 1]) for method in known)


# The file between


def test_settings_survive_their_file(values, tmp_path):
    """Unusual labels survive too, and numbers are equal bit for bit."""
    path = tmp_path / "settings.yaml"
    values["methods"]["kd"] |= {"label": "R18_KD 100% & #1: 'α' \\ {x}", "weight_decay": 1 / 3, "learning_rate": 1e-300}
    config = validate(values)
    kinds = [(RunSettings, run_settings(config, method)) for method in config.rows]
    for kind, settings in [*kinds, (ReportSettings, report_settings(config))]:
        path.write_text(to_yaml(settings), encoding="utf-8")
        assert read_settings(path, kind).model_dump(mode="json", exclude_none=True) == settings


def test_wrong_settings_are_refused_with_file_and_key(config, tmp_path, refused):
    path = tmp_path / "settings.yaml"
    path.write_text(to_yaml(run_settings(config, "kd") | {"extra": 1}))
    with refused(CONFIGURATION, f"{path}: extra: ", "rerun the rule that writes it"):
        read_settings(path, RunSettings)
