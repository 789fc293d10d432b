import copy
import subprocess
import sys

import pytest
import yaml

from selfdistill.config.errors import checked
from selfdistill.config.load import load_config, validate
from selfdistill.config.records import differences
from selfdistill.config.schema import Archive
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import CONFIGURATION, Failures

NAMES = "cross_entropy, knowledge_distillation, self_distillation, deep_supervision, constant_teacher"
ABSENT = object()
DIGITS = {"dataset": "digits", "archives": []}


def put(values, key, value):
    """`value` at a dotted key; ABSENT takes the key away."""
    *path, last = key.split(".")
    for part in path:
        values = values[part]
    if value is ABSENT:
        del values[last]
    else:
        values[last] = value


# What is valid


def test_every_protocol_is_valid_and_named_as_its_file(repository):
    paths = sorted((repository / "workflow" / "protocols").glob("*.yaml"))
    assert len(paths) > 8
    for path in paths:
        assert load_config([repository / "config.yaml", path]).protocol == path.stem


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("methods.kd.teacher_seed", [2, 0, 1], [0, 1, 2]),  # an ensemble has no order
        ("methods.kd.teacher_seed", [5], 5),  # one member is one teacher
        ("methods.kd.seeds", "0,1", [0, 1]),
        ("compile", True, "on"),  # YAML 1.1 makes `on` and `off` booleans
        ("capture", False, "off"),
    ],
)
def test_values_are_read_however_they_are_spelt(key, value, expected, values):
    put(values, key, value)
    found = validate(values)
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert (found, type(found)) == (expected, type(expected))


def test_later_files_win_and_what_is_typed_wins_over_all(tmp_path, repository):
    for name, epochs in (("a", 5), ("b", "7e0")):
        (tmp_path / f"{name}.yaml").write_text(f"methods: {{kd: {{epochs: {epochs}, learning_rate: 1e-1}}}}\n")
    files = [repository / "config.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml"]
    methods = load_config(files).methods
    assert (methods["kd"].epochs, methods["kd"].learning_rate, methods["control"].epochs) == (7, 0.1, 200)
    config = load_config(files, ["methods={kd: {temperature: 8}}", "seeds=0,1", "device=cuda:1", "reduced="])
    assert (config.methods["kd"].epochs, config.methods["kd"].temperature) == (7, 8)
    assert (config.seeds, config.device, config.reduced) == ([0, 1], "cuda:1", None)


def test_broken_yaml_on_the_command_line_is_refused(repository, refused):
    with refused(CONFIGURATION, "error: --config seeds: line 1: "):
        load_config([repository / "config.yaml"], ["seeds=[0"])
    with refused(CONFIGURATION, "error: --config methods: line 1: key 'kd' is given twice"):
        load_config([repository / "config.yaml"], ["methods={kd: {alpha: 0}, kd: {alpha: 1}}"])


def test_as_run_differs_from_the_paper_where_the_notebooks_do(repository):
    config = load_config([repository / "config.yaml", repository / "workflow/protocols/as_run.yaml"])
    kd, self_distillation = (run_settings(config, name) for name in ("kd", "self_distillation"))
    squared = {"t_squared": True}
    assert kd["parameters"] == squared | {"temperature": 3.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}
    assert (kd["replaced_stem"], kd["augmentation"]) == ("as_notebook", ["crop", "flip"])
    assert self_distillation["parameters"] == squared | {
        **{"temperature": 4.0, "cross_entropy_weight": 1.0, "distillation_weight": 0.7},
        **{"detach": False, "classifiers": 3.0, "feature_weight": 0.3},
    }
    assert (self_distillation["heads"], self_distillation["final_head"]) == ("conv1x1", "conv1x1")
    assert run_settings(config, "teacher")["kept_epoch"] == "best_on_test"
    assert [config.methods[row].batch_size for row in config.rows] == [256, 128, 128, 128]


def test_attribution_ends_at_what_as_run_trains(repository):
    attribution, as_run = (
        load_config([repository / "config.yaml", repository / f"workflow/protocols/{name}.yaml"])
        for name in ("attribution", "as_run")
    )
    ends = {"kd_notebook": "kd", "sd_notebook": "self_distillation", "teacher_notebook": "teacher"}
    for end, method in ends.items():
        ours, theirs = run_settings(attribution, end), run_settings(as_run, method)
        assert set(differences(ours, theirs)) == {"method", "precision"}
    assert attribution.methods["kd_notebook"].teacher == "teacher_notebook"


def test_cifar100_is_the_papers_protocol_on_other_images(config, repository):
    other = load_config([repository / "config.yaml", repository / "workflow/protocols/cifar100.yaml"])
    for name in other.rows:
        ours, theirs = (run_settings(each, name) for each in (other, config))
        networks = {"network.classes", "teacher.classes"} if name == "kd" else {"network.classes"}
        assert set(differences(ours, theirs)) == {"data.dataset", "data.mean", "data.std"} | networks
        assert ours["network"]["classes"] == 100


# What a refusal says: one of each kind. tests/faults/test_configuration.py tries every key.

REFUSED = [
    ("temperature", 8, "temperature: unknown key (did you mean methods.<name>.temperature? On the command line:"
     " --config 'methods={<name>: {temperature: ...}}')"),
    ("sedes", [0], "sedes: unknown key (did you mean seeds?)"),
    ("data.x", 1, "data.x: unknown key (expected one of dataset, train_images, holdout_images, mean, std, archives)"),
    ("methods.kd.temprature", 4, "methods.kd.temprature: unknown key (did you mean temperature?)"),
    ("methods.kd.published.tim", 2, "methods.kd.published.tim: unknown key (did you mean time?)"),
    ("methods.kd.epochs", ABSENT, "methods.kd.epochs: missing"),
    ("methods.kd.objective", ABSENT, f"methods.kd.objective: expected one of {NAMES}, missing"),
    ("methods.kd.objective", "knowledge_destillation", f"methods.kd.objective: expected one of {NAMES}, got"
     " 'knowledge_destillation' (did you mean knowledge_distillation?)"),
    ("data.archives", [{"sha256": "a" * 64}], "data.archives.0: expected either url or path"),
    ("methods.kd.alpha", ABSENT, "methods.kd.alpha: expected alpha, or cross_entropy_weight and distillation_weight"),
    ("methods.kd.cross_entropy_weight", 1, "methods.kd.alpha: expected either alpha or the two weights (alpha: null"),
    ("methods", {}, "methods: expected at least one method, got none"),
    # between keys
    ("rows", ["kd", "kd"], "rows: expected different methods, at least one, got ['kd', 'kd']"),
    ("rows", ["kd", "contrl"], "rows.1: expected one of teacher, kd, self_distillation, control, "),
    ("methods.kd.batch_size", 50_001, "methods.kd.batch_size: expected at most the 50000 training images, got 50001"),
    ("methods.kd.teacher", "teachr", "methods.kd.teacher: expected one of teacher, kd, "),
    ("methods.kd.teacher", "kd", "methods.kd.teacher: expected a teacher that is not its own student, got kd <- kd"),
    ("data.train_images", 1096, "data.train_images: expected a multiple of 10 up to 50000 for cifar10, or null for all"
     " 50000, got 1096"),
    ("data.archives", [], "data.archives: expected at least one archive for cifar10, got none"),
]  # fmt: skip


def test_a_wrong_value_is_one_line_that_names_it(parsed, values, problems):
    for key, value, line in REFUSED:
        put(values, key, value) if "." in key else None
        written = values if "." in key else values | {key: value}
        found, *more = problems(written)
        assert more == [], key
        assert found.startswith(line)
        if "." in key:
            values[key.split(".")[0]] = copy.deepcopy(parsed[key.split(".")[0]])


def test_a_rule_keeps_what_belongs_together(values, problems):
    """Each with the change that breaks it."""
    odd = "has an oddity of the published notebooks"
    for change, line in [
        ({"data": DIGITS}, "reduced: expected a description, because the dataset digits"),
        ({"data": {"dataset": "cifar100"}, "reduced": "x"}, "data.archives.0.sha256: expected an archive of cifar100,"),
        ({"data": DIGITS | {"train_images": 1340}, "reduced": "x"}, "data.train_images: expected a multiple of 10 up to"
         " 1330 for digits, or null for all 1437, got 1340"),
        ({"data": {"holdout_images": 100}, "explanations": True}, "explanations: expected false with data.holdout_im"),
        ({"data": {"train_images": 200}}, "methods.teacher.batch_size: expected at most the 200 training images, got"),
        ({"device": "cpu", "defaults": {"precision": "fp16"}}, "defaults.precision: expected auto, fp32"),
        ({"defaults": {"nesterov": True, "momentum": 0}}, "defaults.nesterov: expected false with momentum 0"),
        ({"methods": {"kd": {"replaced_stem": True}}}, f"methods.kd: {odd}"),
        ({"methods": {"self_distillation": {"detach": False}}}, f"methods.self_distillation: {odd}"),
        ({"methods": {"teacher": {"kept_epoch": "best_on_test"}}}, f"methods.teacher: {odd}"),
        ({"same_augmentation": True, "methods": {"kd": {"augmentation": ["crop"]}}}, "methods.kd.augmentation: expected"
         " ['crop', 'flip'] as in teacher (same_augmentation: true), got ['crop']"),
    ]:  # fmt: skip
        changed = copy.deepcopy(values)
        for key, value in change.items():
            changed[key] = merged(changed.get(key), value)
        assert any(found.startswith(line) for found in problems(changed)), line


def merged(base, over):
    return {**base, **{k: merged(base.get(k), v) for k, v in over.items()}} if isinstance(base, dict) else over


def test_an_oddity_of_the_notebooks_needs_leave(values):
    values["oddities"] = ["replaced_stem", "undetached_target", "best_on_test"]
    values["methods"]["kd"]["replaced_stem"] = True
    values["methods"]["self_distillation"]["detach"] = False
    values["methods"]["teacher"]["kept_epoch"] = "best_on_test"
    config = validate(values)
    found = [run_settings(config, method)["oddities"] for method in ("kd", "self_distillation", "teacher")]
    assert found == [[name] for name in values["oddities"]]


def test_the_best_epoch_is_sought_among_all_of_them(values, problems):
    values["oddities"], values["evaluate_every"] = ["best_on_test"], 5
    assert validate(values).evaluate_every == 5
    values["methods"]["teacher"]["kept_epoch"] = "best_on_test"
    assert problems(values) == [
        "evaluate_every: expected 1 with methods.teacher.kept_epoch: best_on_test, which needs every epoch, got 5"
    ]
    values["rows"] = ["control"]  # which has no teacher
    assert validate(values)


def test_a_feature_weight_needs_maps_that_can_be_compared(values, problems):
    fits = {("fc", "fc"): 0, ("conv1x1", "fc"): 0, ("conv1x1", "conv1x1"): 1, ("bottleneck", "fc"): 1}
    for (heads, final_head), fit in fits.items():
        block = {"feature_weight": 0.3, "heads": heads, "final_head": final_head}
        values["methods"]["self_distillation"] |= block
        if fit:
            assert run_settings(validate(values), "self_distillation")["parameters"]["feature_weight"] == 0.3
            continue
        (line,) = problems(values)
        assert line.startswith("methods.self_distillation.feature_weight: expected 0, or heads: bottleneck, or")


def test_an_archive_of_ones_own_is_not_taken_for_another_datasets(values):
    values["reduced"] = "other images"
    values["data"] |= {"dataset": "cifar100", "archives": [{"path": "own.tar", "sha256": "a" * 64}]}
    assert validate(values).data.dataset == "cifar100"


def test_rows_with_a_common_latex_macro_are_refused(values, problems):
    """kd_paper's \\KdPaperAccuracy is kd's number of the paper; so for every word of numbers.tex."""
    for name, macro in {"kd_paper": "KdPaperAccuracy", "k-d": "KDAccuracy", "k_d": "KDAccuracy"}.items():
        values["methods"][name] = {"like": "kd", "label": "Mine"}
        values["rows"] = ["kd", name]
        what = f"expected a name with its own LaTeX macros, got {name!r} and 'kd' (both have \\{macro})"
        assert problems(values) == [f"rows.1: {what}"]
    values["methods"] |= {"kd1": {"like": "kd", "label": "1"}, "kd_one": {"like": "kd", "label": "One"}}
    values["rows"] = ["kd1", "kd_one"]
    assert problems(values)[0].startswith("rows.1: expected a name with its own LaTeX macros, got 'kd_one'")


def test_rows_with_one_label_are_refused(values, problems):
    values["methods"]["other"] = {"like": "kd", "label": values["methods"]["kd"]["label"]}
    assert validate(values)  # nobody shows it
    values["rows"] = ["kd", "other"]
    expected = "expected another label than that of kd, got 'ResNet18 (Student, KD)'"
    assert problems(values) == [f"methods.other.label: {expected}"]


def test_teachers_in_a_circle_are_refused(values, problems):
    values["methods"]["kd"]["teacher"] = "kd_b"
    values["methods"] |= {"kd_b": {"like": "kd", "label": "B", "teacher": "kd"}}
    values["methods"] |= {"kd_c": {"like": "kd", "label": "C", "teacher": "kd"}}  # a pupil of the circle
    wrong = "expected a teacher that is not its own student, got"
    found = [line for line in problems(values) if "kd_b:" not in line]
    assert f"methods.kd.teacher: {wrong} kd <- kd_b <- kd" in found
    assert f"methods.kd_b.teacher: {wrong} kd_b <- kd <- kd_b" in found
    assert not any(line.startswith("methods.kd_c.") for line in found)


# All at once, in two passes


def test_everything_that_is_wrong_in_itself_is_named_at_once(values, problems):
    values |= {"seeds": [], "device": "gpu", "epoch": 3, "rows": ["kd", "kdd"]}
    values["data"]["mean"] = 3
    values["defaults"]["momentum"] = 1
    values["methods"]["kd"] |= {"alpha": 2, "teacher": "teachr", "temprature": 4}
    values["methods"]["control"]["model"] = None
    keys = [line.split(": ")[0] for line in problems(values)]
    expected = ["seeds", "device", "epoch", "data.mean", "defaults.momentum", "methods.control.model"]
    assert sorted(keys) == sorted([*expected, "methods.kd.alpha", "methods.kd.temprature"])


def test_then_everything_between_keys(values, problems):
    values["rows"] = ["teacher", "kd", "self_distillation"]
    values["methods"]["kd"]["batch_size"] = values["methods"]["teacher"]["batch_size"] = 10**6
    values["methods"]["self_distillation"]["feature_weight"] = 1
    values["data"]["holdout_images"] = 7
    keys = [line.split(": ")[0] for line in problems(values)]
    assert sorted(keys) == [
        *("data.holdout_images", "methods.kd.batch_size", "methods.self_distillation.feature_weight"),
        "methods.teacher.batch_size",
    ]


def test_what_a_block_inherits_is_named_where_it_was_written(values, problems):
    """The library has many blocks like kd."""
    values["methods"]["kd"]["temperature"] = 0
    assert problems(values) == ["methods.kd.temperature: expected a number from 0.001 to 1000, got 0"]
    values["methods"]["kd"]["temperature"] = 4
    values["defaults"]["momentum"] = 1
    assert problems(values) == ["defaults.momentum: expected a number in [0, 1), got 1"]


# Files that do not stand alone


def test_files_that_are_laid_over_another_say_in_one_line_that_it_comes_first(repository, refused):
    names_of = sorted(path.stem for path in (repository / "workflow/protocols").glob("*.yaml"))
    for names in (["quick", "demo"], *([name] for name in names_of)):
        paths = [str(repository / f"workflow/protocols/{name}.yaml") for name in names]
        files = " ".join(paths)
        alone = f"error: {files}: cannot stand alone (missing: "
        comes_first = f"; config.yaml comes first: config.yaml {files}"
        with refused(CONFIGURATION, alone, comes_first):
            load_config(paths)
    command = [sys.executable, "-m", "selfdistill", "check", *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (CONFIGURATION, "", 1)


def test_of_a_whole_configuration_that_lacks_something_each_key_is_named(tmp_path, parsed):
    values = {key: value for key, value in parsed.items() if key not in ("seeds", "table")}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(Failures) as caught:
        load_config([tmp_path / "mine.yaml"])
    assert set(str(caught.value).splitlines()) == {"error: seeds: missing", "error: table: missing"}
    (tmp_path / "config.yaml").write_text("seeds: [0]\n")  # one of this name is not told to come before itself
    with pytest.raises(Failures) as caught:
        load_config([tmp_path / "config.yaml"])
    assert "error: table: missing" in str(caught.value).splitlines()


def test_any_value_is_checked_by_the_same_words(refused):
    with refused(CONFIGURATION, "error: --archives: 0.sha256: missing; see --help"):
        checked(list[Archive], [{"path": "a"}], "--archives", "see --help")
