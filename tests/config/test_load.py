import copy
from functools import reduce

import pytest

from selfdistill.config.load import load_config, validate
from selfdistill.config.reading import merge
from selfdistill.config.records import differences
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import CONFIGURATION

NAMES = "cross_entropy, knowledge_distillation, self_distillation, deep_supervision, constant_teacher"
ABSENT = object()
DIGITS = {"dataset": "digits", "archives": []}


def put(values, key, value):
    """Set `value` at a dotted key; ABSENT removes the key."""
    *path, last = key.split(".")
    block = reduce(dict.__getitem__, path, values)
    block.pop(last) if value is ABSENT else block.update({last: value})


# What is valid


def test_every_protocol_is_valid_and_named_as_its_file(repository, protocol):
    names = [path.stem for path in (repository / "workflow/protocols").glob("*.yaml")]
    assert len(names) > 8
    assert [protocol(name).protocol for name in names] == names


def test_values_are_read_however_they_are_spelt(values):
    kd = {"teacher_seed": [2, 0, 1], "seeds": "0,1"}
    config = validate(merge(values, {"methods": {"kd": kd}, "compile": True, "capture": False}))
    assert (config.methods["kd"].teacher_seed, config.methods["kd"].seeds) == ([0, 1, 2], [0, 1])
    assert (config.compile, config.capture) == ("on", "off")  # YAML 1.1 makes them booleans
    one = merge(values, {"methods": {"kd": {"teacher_seed": [5]}}})  # one member is one teacher
    assert validate(one).methods["kd"].teacher_seed == 5


def test_later_files_win_and_what_is_typed_wins_over_all(tmp_path, repository):
    for name, epochs in (("a", 5), ("b", "7e0")):
        (tmp_path / f"{name}.yaml").write_text(f"methods: {{kd: {{epochs: {epochs}, learning_rate: 1e-1}}}}\n")
    files = [repository / "config.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml"]
    methods = load_config(files).methods
    assert (methods["kd"].epochs, methods["kd"].learning_rate, methods["control"].epochs) == (7, 0.1, 200)
    entries = ["methods={kd: {temperature: 8}}", "seeds=0,1", "rows=kd, control", "device=cuda:1", "sweep="]
    config = load_config(files, entries)
    assert (config.methods["kd"].epochs, config.methods["kd"].temperature) == (7, 8)
    assert (config.seeds, config.rows, config.device, config.sweep) == ([0, 1], ["kd", "control"], "cuda:1", None)


def test_a_key_that_is_given_twice_on_the_command_line_is_refused(repository, refused):
    with refused(CONFIGURATION, "error: --config methods: line 1: key 'kd' is given twice"):
        load_config([repository / "config.yaml"], ["methods={kd: {alpha: 0}, kd: {alpha: 1}}"])


def test_as_run_differs_from_the_paper_where_the_notebooks_do(protocol):
    config = protocol("as_run")
    kd, self_distillation = (run_settings(config, name) for name in ("kd", "self_distillation"))
    squared = {"t_squared": True}
    assert kd["parameters"] == squared | {"temperature": 3.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}
    assert (kd["replaced_stem"], kd["augmentation"]) == ("as_notebook", ["crop", "flip"])
    assert self_distillation["parameters"] == squared | {
        **{"temperature": 4.0, "cross_entropy_weight": 1.0, "distillation_weight": 0.7},
        **{"detach": False, "classifiers": 3.0, "feature_weight": 0.3},
    }
    assert (self_distillation["heads"], self_distillation["final_head"]) == ("conv1x1", "conv1x1")
    teacher, control = (run_settings(config, name) for name in ("teacher", "control"))
    assert teacher["kept_epoch"] == "best_on_test"
    assert "rotation" in teacher["augmentation"]
    assert control["augmentation"] == self_distillation["augmentation"]
    oddities = [run_settings(config, method)["oddities"] for method in ("kd", "self_distillation", "teacher")]
    assert oddities == [["replaced_stem"], ["undetached_target"], ["best_on_test"]]
    assert [config.methods[row].batch_size for row in config.rows] == [256, 128, 128, 128]


def test_attribution_ends_at_what_as_run_trains(protocol):
    attribution, as_run = protocol("attribution"), protocol("as_run")
    ends = {"kd_notebook": "kd", "sd_notebook": "self_distillation", "teacher_notebook": "teacher"}
    for end, method in ends.items():
        ours, theirs = run_settings(attribution, end), run_settings(as_run, method)
        assert set(differences(ours, theirs)) == {"method", "precision"}
    assert attribution.methods["kd_notebook"].teacher == "teacher_notebook"


def test_cifar100_is_the_papers_protocol_on_other_images(config, protocol):
    other = protocol("cifar100")
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
    ("methods.kd.published.x", 2, "methods.kd.published.x: unknown key (expected one of accuracy, time)"),
    ("methods.kd.epochs", ABSENT, "methods.kd.epochs: missing"),
    ("methods.kd.objective", ABSENT, f"methods.kd.objective: expected one of {NAMES}, missing"),
    ("methods.kd.objective", "knowledge_destillation", f"methods.kd.objective: expected one of {NAMES}, got"
     " 'knowledge_destillation' (did you mean knowledge_distillation?)"),
    ("methods.kd.alpha", ABSENT, "methods.kd.alpha: expected alpha, or cross_entropy_weight and distillation_weight"),
    ("methods.kd.cross_entropy_weight", 1, "methods.kd.alpha: expected either alpha or the two weights (alpha: null"),
    ("methods", {}, "methods: expected more items, got {}"),
    ("rows", ["kd", "kd"], "rows: expected different items, at least one, got ['kd', 'kd']"),
    # between keys
    ("methods.kd.teacher", "teachr", "methods.kd.teacher: unknown name 'teachr' (did you mean teacher?)"),
    ("data.train_images", 1096, "data.train_images: expected a multiple of 10 up to 50000 for cifar10, or null for all"
     " 50000, got 1096"),
    ("data.archives", [], "data.archives: expected at least one archive for cifar10, got none"),
]  # fmt: skip


def test_a_wrong_value_is_one_line_that_names_it(values, problems):
    for key, value, line in REFUSED:
        written = copy.deepcopy(values)
        put(written, key, value)
        (found,) = problems(written)
        assert found.startswith(line)


def test_a_rule_keeps_what_belongs_together(values, problems):
    """Each case has the change that breaks it."""
    odd = "has an oddity of the published notebooks"
    late = {"evaluate_every": 5, "oddities": ["best_on_test"]}
    maps = "methods.self_distillation.feature_weight: expected 0, or heads: bottleneck, or"
    for change, line in [
        ({"data": {"dataset": "cifar100"}}, "data.archives.0.sha256: expected an archive of cifar100,"),
        ({"data": DIGITS | {"train_images": 1340}}, "data.train_images: expected a multiple of 10 up to"
         " 1330 for digits, or null for all 1437, got 1340"),
        ({"data": {"holdout_images": 100}, "explanations": True}, "explanations: expected false with data.holdout_im"),
        ({"data": {"holdout_images": 15}}, "data.holdout_images: expected a multiple of 10 up to 25000 (half of"
         " the 50000 training images), got 15"),
        (late | {"data": {"holdout_images": 100}, "methods": {"teacher": {"kept_epoch": "best_on_test"}}},
         "methods.teacher.kept_epoch: expected last with data.holdout_images, because there is no test set, got"),
        ({"data": {"holdout_images": 100}}, "data.holdout_images: expected 0 without a sweep, because results are"),
        ({"sweep": ["kd"]}, "sweep: expected data.holdout_images > 0, because sweeps select on a hold-out, got 0"),
        ({"sweep": ["nothing"]}, "sweep.0: expected one of kd, self_distillation, heads"),
        ({"data": {"train_images": 200}}, "methods.teacher.batch_size: expected at most the 200 training images, got"),
        ({"methods": {"teacher": {"batch_size": 1}}}, "methods.teacher.batch_size: expected at least 2 with the"),
        ({"logs": "./results/paper"}, "logs: expected results, which trains what is missing, or another folder, got"),
        ({"device": "cpu", "defaults": {"precision": "fp16"}}, "defaults.precision: expected auto, fp32"),
        ({"defaults": {"nesterov": True, "momentum": 0}}, "defaults.nesterov: expected false with momentum 0"),
        ({"methods": {"kd": {"replaced_stem": True}}}, f"methods.kd: {odd}"),
        ({"methods": {"self_distillation": {"detach": False}}}, f"methods.self_distillation: {odd}"),
        ({"methods": {"teacher": {"kept_epoch": "best_on_test"}}}, f"methods.teacher: {odd}"),
        (late | {"methods": {"teacher": {"kept_epoch": "best_on_test"}}}, "evaluate_every: expected 1 with"
         " methods.teacher.kept_epoch: best_on_test, which needs every epoch, got 5"),
        ({"methods": {"self_distillation": {"feature_weight": 0.3}}}, maps),
        ({"methods": {"self_distillation": {"feature_weight": 0.3, "heads": "conv1x1"}}}, maps),
        ({"same_augmentation": True, "methods": {"kd": {"augmentation": ["crop"]}}}, "methods.kd.augmentation: expected"
         " ['crop', 'flip'] as in teacher (same_augmentation: true), got ['crop']"),
    ]:  # fmt: skip
        assert any(found.startswith(line) for found in problems(merge(values, change))), line


def test_a_method_that_nobody_trains_may_lie_in_the_library_as_it_is(values):
    values["device"] = "cpu"
    values["methods"]["mine"] = {"like": "kd", "label": "mine", "precision": "fp16", "batch_size": 10**6}
    assert validate(values)


def test_an_archive_of_ones_own_is_not_taken_for_another_datasets(values):
    values["data"] |= {"dataset": "cifar100", "archives": [{"path": "own.tar", "sha256": "a" * 64}]}
    assert validate(values).data.dataset == "cifar100"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"data": {"train_images": 500}}, "500 training images"),
        ({"data": DIGITS}, "scikit-learn's handwritten digits instead of CIFAR-10"),
        ({"methods": {"teacher": {"epochs": 3}}}, "200 epochs (teacher 3)"),
        ({"methods": {"teacher": {"width": 8}}}, "width 64 (teacher 8)"),
        ({"rows": ["control"], "methods": {"control": {"epochs": 1}, "kd": {"epochs": 2}}}, "1 epoch"),
        ({"methods": {"kd": {"epochs": 2, "width": 2}}}, "2 to 300 epochs, width 2 to 64 instead of 64"),
        ({"rows": ["kd", "kd_untrained"]}, None),  # whose teacher trains one epoch
        ({"rows": ["control", "born_again"], "methods": {"born_again": {"epochs": 5}}}, "5 to 200 epochs"),
        ({"rows": ["kd_untrained"], "methods": {"kd_untrained": {"epochs": 9}}}, "1 to 9 epochs"),
        ({"sweep": ["kd"], "data": {"holdout_images": 5000}, "methods": {"teacher": {"epochs": 3}}}, None),  # a setting
    ],
)
def test_what_is_smaller_than_the_papers_says_so_by_itself(values, change, words):
    assert validate(merge(values, change)).reduced == words


def test_rows_with_a_common_latex_macro_are_refused(values, problems):
    """kd_paper's \\KdPaperAccuracy is kd's number of the paper; so for every word of numbers.tex."""
    values["methods"] |= {name: {"like": "kd", "label": name} for name in ("kd_paper", "k-d", "kd1", "kd_one")}
    pairs = {("kd", "kd_paper"): "KdPaperAccuracy", ("kd", "k-d"): "KDAccuracy", ("kd1", "kd_one"): "KdOneAccuracy"}
    for (other, name), macro in pairs.items():
        values["rows"] = [other, name]
        what = f"expected a name with its own LaTeX macros, got {name!r} and {other!r} (both have \\{macro})"
        assert problems(values) == [f"rows.1: {what}"]


def test_rows_with_one_label_are_refused(values, problems):
    values["methods"]["other"] = {"like": "kd", "label": values["methods"]["kd"]["label"]}
    assert validate(values)  # nobody shows it
    values["rows"] = ["kd", "other"]
    expected = "expected another label than that of kd, got 'ResNet18 (Student, KD)'"
    assert problems(values) == [f"methods.other.label: {expected}"]


def test_teachers_in_a_circle_are_refused(values, problems):
    values["methods"]["kd"]["teacher"] = "kd_b"
    values["methods"] |= {"kd_b": {"like": "kd", "label": "B", "teacher": "kd"}}
    wrong = "expected a teacher that is not its own student, got"
    (line,) = (line for line in problems(values) if wrong in line)
    circles = ("kd -> kd_b -> kd", "kd_b -> kd -> kd_b")
    assert line in [f"methods.{circle.split()[0]}.teacher: {wrong} {circle}" for circle in circles]


# All at once, in two passes


def test_a_hold_out_of_more_than_there_is_is_one_problem(values, problems):
    change = {"data": DIGITS | {"holdout_images": 5000}, "sweep": ["kd"]}
    (line,) = problems(merge(values, change))
    assert line.startswith("data.holdout_images: expected a multiple of 10 up to 718 ")


def test_everything_that_is_wrong_in_itself_is_named_at_once_and_then_everything_between_keys(values, problems):
    between = {"data": {"holdout_images": 7}, "methods": {"self_distillation": {"feature_weight": 1}}}
    between["methods"] |= {name: {"batch_size": 10**6} for name in ("teacher", "kd")}
    itself = {"seeds": [], "device": "gpu", "epoch": 3, "rows": ["kd", "kdd"], "data": {"mean": 3}}
    itself["methods"] = {"kd": {"alpha": 2, "teacher": "teachr", "temprature": 4}, "control": {"model": None}}
    of_itself = "data.mean device epoch methods.control.model methods.kd.alpha methods.kd.temprature seeds"
    of_pairs = "data.holdout_images data.holdout_images methods.kd.batch_size methods.self_distillation.feature_weight"
    for change, expected in ((itself, of_itself), (between, f"{of_pairs} methods.teacher.batch_size")):
        keys = [line.split(": ")[0] for line in problems(merge(values, change))]
        assert sorted(keys) == expected.split()


def test_what_a_block_inherits_is_named_where_it_was_written(values, problems):
    """The library has many blocks like kd."""
    values["methods"]["kd"]["temperature"] = 0
    assert problems(values) == ["methods.kd.temperature: expected a number from 0.001 to 1000, got 0"]
    values["methods"]["kd"]["temperature"] = 4
    values["defaults"]["momentum"] = 1
    assert problems(values) == ["defaults.momentum: expected a number in [0, 1), got 1"]
    values["defaults"]["momentum"] = 0.9
    values["methods"]["warm"] = {"like": "kd", "temperature": 8}  # a label is not inherited
    assert problems(values) == ["methods.warm.label: missing"]


def test_methods_that_are_like_each_other_are_refused(values, problems):
    values["methods"] |= {name: {"like": other, "label": name} for name, other in (("a1", "b1"), ("b1", "a1"))}
    what = "like: expected another method, which does not copy this one, got"
    assert set(problems(values)) == {f"methods.b1.{what} 'a1'", f"methods.a1.{what} 'b1'"}


# Files that do not stand alone


def test_files_that_are_laid_over_another_say_in_one_line_that_it_comes_first(repository, refused):
    every = sorted(map(str, (repository / "workflow/protocols").glob("*.yaml")))
    for paths in (every, *([path] for path in every)):
        files = " ".join(paths)
        comes_first = f"; give config.yaml first: config.yaml {files}"
        with refused(CONFIGURATION, f"error: {files}: is not a whole configuration (missing: ", comes_first):
            load_config(paths)
