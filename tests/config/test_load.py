import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from selfdistill.config.load import load_config, merge, read_yaml, validate
from selfdistill.config.records import differences
from selfdistill.config.settings import run_settings
from selfdistill.system.failures import CONFIGURATION, Failures

NAMES = "cross_entropy, knowledge_distillation, self_distillation, deep_supervision, constant_teacher"
METHODS = ", ".join(read_yaml(Path(__file__).parents[2] / "config.yaml")["methods"])
SEEDS = "expected a list of different whole numbers >= 0, such as [0, 1, 2], got "
PROTOCOLS = sorted((Path(__file__).parents[2] / "workflow" / "protocols").glob("*.yaml"))
ABSENT = object()


@pytest.fixture
def paper(repository):
    """config.yaml as plain values; every test has its own."""
    return copy.deepcopy(read_yaml(repository / "config.yaml"))


def put(values, key, value):
    """`value` at a dotted key; ABSENT takes the key away."""
    *path, last = key.split(".")
    for part in path:
        values = values[part]
    if value is ABSENT:
        del values[last]
    else:
        values[last] = value


def problems(values):
    """The lines that validation answers, without their `error: `."""
    with pytest.raises(Failures) as caught:
        validate(values)
    assert caught.value.code == CONFIGURATION
    return [line.removeprefix("error: ") for line in str(caught.value).splitlines()]


# What is valid


def test_the_papers_configuration_is_valid(repository):
    assert load_config([repository / "config.yaml"]).protocol == "paper"


@pytest.mark.parametrize("path", PROTOCOLS, ids=[path.stem for path in PROTOCOLS])
def test_every_protocol_is_valid_and_named_as_its_file(path, repository):
    assert load_config([repository / "config.yaml", path]).protocol == path.stem


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("methods.kd.learning_rate", "1e-1", 0.1),
        ("methods.kd.weight_decay", "5E-4", 5e-4),
        ("methods.kd.epochs", "3e2", 300),
        ("methods.kd.epochs", "3", 3),
        ("methods.kd.alpha", 0, 0.0),
        ("methods.kd.alpha", 1, 1.0),
        ("methods.kd.temperature", "1e-3", 0.001),
        ("methods.kd.teacher_seed", "mod 3", "mod 3"),
        ("methods.kd.teacher_seed", [2, 0, 1], [0, 1, 2]),  # an ensemble has no order
        ("methods.kd.teacher_seed", ["2", 1.0], [1, 2]),
        ("methods.kd.teacher_seed", [5], 5),  # one member is one teacher
        ("methods.kd.augmentation", [], []),
        ("methods.kd.seeds", "0,1", [0, 1]),
        ("seeds", "0,1", [0, 1]),
        ("seeds", "[0,1]", [0, 1]),
        ("seeds", ["0", "1"], [0, 1]),
        ("seeds", 0, [0]),
        ("deterministic", "false", False),
        ("threads", "2", 2),
        ("device", "cuda:1", "cuda:1"),
    ],
)
def test_values_are_read_however_they_are_spelt(key, value, expected, paper):
    put(paper, key, value)
    found = validate(paper)
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert (found, type(found)) == (expected, type(expected))


def test_all_spellings_of_a_number_are_one_run(paper):
    found = []
    for spelling in (0.0005, "5e-4", "5E-4", "0.0005", "0.5e-3"):
        put(paper, "defaults.weight_decay", spelling)
        found.append(run_settings(validate(paper), "kd"))
    assert all(settings == found[0] for settings in found)


def test_scientific_notation_in_a_file_is_a_number(tmp_path, repository):
    mine = tmp_path / "mine.yaml"
    mine.write_text("defaults: {learning_rate: 1e-1}\nmethods: {kd: {epochs: 3e2}}\n")
    kd = load_config([repository / "config.yaml", mine]).methods["kd"]
    assert (kd.learning_rate, kd.epochs) == (0.1, 300)


def test_weights_may_stand_for_alpha(paper):
    paper["methods"]["kd"] |= {"alpha": None, "cross_entropy_weight": 1, "distillation_weight": 2}
    assert run_settings(validate(paper), "kd")["parameters"]["distillation_weight"] == 2


def test_a_default_that_other_objectives_take_is_no_mistake(paper):
    paper["defaults"]["temperature"] = 2
    del paper["methods"]["kd"]["temperature"]
    config = validate(paper)
    assert config.methods["kd"].temperature == 2
    assert not hasattr(config.methods["control"], "temperature")


def test_a_block_overrides_the_defaults(paper):
    paper["methods"]["kd"]["learning_rate"] = 0.5
    config = validate(paper)
    assert (config.methods["kd"].learning_rate, config.methods["control"].learning_rate) == (0.5, 0.1)


def test_two_teachers_and_three_students_need_only_blocks(paper):
    teacher, kd = paper["methods"]["teacher"], paper["methods"]["kd"]
    paper["methods"] |= {"teacher_b": teacher, "kd_b": {**kd, "teacher": "teacher_b"}, "kd_c": {**kd, "teacher": "kd"}}
    paper["rows"] = ["kd", "kd_b", "kd_c"]
    assert validate(paper).teachers_of("kd_b", 0) == [("teacher_b", 0)]


def test_a_block_like_another_restates_only_what_differs(paper):
    paper["methods"] |= {"kd_cold": {"like": "kd", "label": "Cold", "temperature": 1.0}}
    paper["methods"] |= {"kd_colder": {"like": "kd_cold", "label": "Colder", "alpha": 0.9}}
    config = validate(paper)
    assert run_settings(config, "kd_colder")["parameters"] == {
        "temperature": 1.0,
        "cross_entropy_weight": 0.9,
        "distillation_weight": pytest.approx(0.1),
    }
    assert config.methods["kd_cold"].epochs == config.methods["kd"].epochs
    assert config.methods["kd_cold"].published is None


def test_a_block_like_one_of_another_objective_leaves_out_what_that_one_lacks(paper):
    block = {"like": "self_distillation", "label": "DS", "objective": "deep_supervision", "cross_entropy_weight": 0.3}
    paper["methods"]["deep"] = block
    settings = run_settings(validate(paper), "deep")
    assert settings["parameters"] == {"cross_entropy_weight": 0.3}
    assert settings["heads"] == "fc"


@pytest.mark.parametrize("like", ["nobody", "mine", 3, None, ["kd"]])
def test_a_block_like_no_other_is_refused(like, paper, refused):
    paper["methods"]["mine"] = {"like": like, "label": "Mine"}
    with refused(78, "methods.mine.like: expected another method that is not like this one, got "):
        validate(paper)


def test_blocks_like_each_other_are_refused(paper, refused):
    paper["methods"] |= {"a": {"like": "b", "label": "A"}, "b": {"like": "a", "label": "B"}}
    with refused(78, "methods.a.like: expected another method that is not like this one"):
        validate(paper)


ODD = {
    "replaced_stem": ("kd", {"replaced_stem": True}),
    "undetached_target": ("self_distillation", {"detach": False}),
    "best_on_test": ("teacher", {"kept_epoch": "best_on_test"}),
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_oddity_of_the_notebooks_needs_leave(oddity, paper, refused):
    method, change = ODD[oddity]
    paper["methods"][method] |= change
    with refused(78, f"methods.{method}: has an oddity of the published notebooks", f"expected oddities: [{oddity}]"):
        validate(paper)
    paper["oddities"] = [oddity]
    assert run_settings(validate(paper), method)["oddities"] == [oddity]


def test_the_best_epoch_is_sought_among_all_of_them(paper, refused):
    paper["oddities"], paper["evaluate_every"] = ["best_on_test"], 5
    assert validate(paper).evaluate_every == 5
    paper["methods"]["teacher"]["kept_epoch"] = "best_on_test"
    line = "evaluate_every: expected 1 with methods.teacher.kept_epoch: best_on_test, which looks at every epoch, got 5"
    with refused(78, line):
        validate(paper)
    paper["evaluate_every"] = 1
    assert validate(paper)
    paper["evaluate_every"], paper["rows"] = 5, ["control"]  # which has no teacher
    assert validate(paper)


def test_rows_that_must_see_the_same_images_are_refused_if_they_do_not(paper, refused):
    paper["methods"]["kd"]["augmentation"] = ["crop"]
    assert validate(paper)
    paper["same_augmentation"] = True
    with refused(78, "methods.kd.augmentation: expected ['crop', 'flip'] as in teacher (same_augmentation: true)"):
        validate(paper)


@pytest.mark.parametrize(
    ("heads", "final_head", "fits"),
    [("fc", "fc", False), ("conv1x1", "fc", False), ("conv1x1", "conv1x1", True), ("bottleneck", "fc", True)],
)
def test_a_feature_weight_needs_maps_that_can_be_compared(heads, final_head, fits, paper, refused):
    paper["methods"]["self_distillation"] |= {"feature_weight": 0.3, "heads": heads, "final_head": final_head}
    if fits:
        assert run_settings(validate(paper), "self_distillation")["parameters"]["feature_weight"] == 0.3
        return
    with refused(78, "methods.self_distillation.feature_weight: expected 0, or heads: bottleneck, or"):
        validate(paper)


def test_the_next_seed_teaches_and_the_last_is_taught_by_the_first(paper):
    paper["methods"]["kd"] |= {"teacher": "control", "teacher_seed": "next"}
    paper["seeds"] = [0, 2, 5]
    config = validate(paper)
    assert [config.teachers_of("kd", seed)[0][1] for seed in (0, 2, 5)] == [2, 5, 0]


def test_as_run_differs_from_the_paper_where_the_notebooks_do(repository):
    config = load_config([repository / "config.yaml", repository / "workflow/protocols/as_run.yaml"])
    kd, self_distillation = (run_settings(config, name) for name in ("kd", "self_distillation"))
    assert kd["parameters"] == {"temperature": 3.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}
    assert (kd["replaced_stem"], kd["augmentation"]) == (True, ["crop", "flip"])
    assert self_distillation["parameters"] == {
        "temperature": 4.0,
        "cross_entropy_weight": 1.0,
        "distillation_weight": 0.7,
        "detach": False,
        "classifiers": 3.0,
        "feature_weight": 0.3,
    }
    assert (self_distillation["heads"], self_distillation["final_head"]) == ("conv1x1", "conv1x1")
    assert run_settings(config, "teacher")["kept_epoch"] == "best_on_test"
    assert [config.methods[row].batch_size for row in config.rows] == [256, 128, 128, 128]


def test_cifar100_is_the_papers_protocol_on_other_images(repository):
    base, over = repository / "config.yaml", repository / "workflow/protocols/cifar100.yaml"
    paper, config = load_config([base]), load_config([base, over])
    for name in config.rows:
        ours, theirs = (run_settings(each, name) for each in (config, paper))
        networks = {"network.classes", "teacher.classes"} if name == "kd" else {"network.classes"}
        assert set(differences(ours, theirs)) == {"data.dataset", "data.mean", "data.std"} | networks
        assert ours["network"]["classes"] == 100


def test_cifar100_with_the_archive_of_cifar10_is_refused(paper, refused):
    paper["data"]["dataset"] = "cifar100"
    with refused(78, "data.archives.0.sha256: expected an archive of cifar100, got the official one of cifar10"):
        validate(paper)


def test_an_archive_of_ones_own_is_not_taken_for_another_datasets(paper):
    paper["reduced"] = "other images"
    paper["data"] |= {"dataset": "cifar100", "archives": [{"path": "own.tar", "sha256": "a" * 64}]}
    assert validate(paper).data.dataset == "cifar100"


@pytest.mark.parametrize("dataset", ["cifar100", "digits"])
def test_another_dataset_is_never_compared_with_the_papers_numbers(dataset, paper, refused):
    paper["data"] |= {"dataset": dataset, "archives": [{"path": "own.tar", "sha256": "a" * 64}]}
    with refused(78, f"reduced: expected how this differs from the paper's protocol, whose dataset is not {dataset}"):
        validate(paper)


def test_cifar10_c_is_of_cifar10(paper, refused):
    paper["reduced"] = "other images"
    paper["data"] |= {"dataset": "digits", "archives": []}
    paper["mechanisms"]["official_corruptions"] = "CIFAR-10-C"
    with refused(78, "mechanisms.official_corruptions: expected null for digits, of which CIFAR-10-C has no images"):
        validate(paper)


def test_cifar100_is_cut_by_whole_classes(paper, refused):
    paper["reduced"] = "other images"
    paper["data"] |= {"dataset": "cifar100", "archives": [{"path": "own.tar", "sha256": "a" * 64}], "train_images": 150}
    with refused(78, "data.train_images: expected a multiple of 100 up to 50000 for cifar100, got 150"):
        validate(paper)


def test_validation_imports_no_torch(repository):
    code = (
        "import sys; from selfdistill.config.load import load_config; from selfdistill.config import settings;"
        f"load_config([{str(repository / 'config.yaml')!r}]);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What is not

REFUSED = [
    # unknown and misspelt keys, with the nearest known one
    ("epoch", 3, "epoch: unknown key"),
    ("sedes", [0], "sedes: unknown key (did you mean seeds?)"),
    ("data.datset", "digits", "data.datset: unknown key (did you mean dataset?)"),
    ("table.captoin", "x", "table.captoin: unknown key (did you mean caption?)"),
    ("checkpoint.every", 1, "checkpoint.every: unknown key"),
    ("defaults.learnig_rate", 1, "defaults.learnig_rate: unknown key (did you mean learning_rate?)"),
    ("methods.kd.temprature", 4, "methods.kd.temprature: unknown key (did you mean temperature?)"),
    ("methods.kd.heads", "fc", "methods.kd.heads: unknown key"),
    ("methods.control.alpha", 0.5, "methods.control.alpha: unknown key"),
    ("methods.control.teacher", "teacher", "methods.control.teacher: unknown key"),
    ("methods.kd.published.tim", 2, "methods.kd.published.tim: unknown key (did you mean time?)"),
    # missing keys
    ("methods.kd.epochs", ABSENT, "methods.kd.epochs: missing"),
    ("methods.kd.temperature", ABSENT, "methods.kd.temperature: missing"),
    ("methods.kd.teacher", ABSENT, "methods.kd.teacher: missing"),
    ("methods.self_distillation.heads", ABSENT, "methods.self_distillation.heads: missing"),
    ("methods.kd.objective", ABSENT, f"methods.kd.objective: expected one of {NAMES}, missing"),
    ("data.archives", [{"url": "https://a/b"}], "data.archives.0.sha256: missing"),
    ("data.mean", [0.5, 0.5], "data.mean.2: missing"),
    (
        "methods.kd.alpha",
        ABSENT,
        "methods.kd: expected alpha, or cross_entropy_weight and distillation_weight",
    ),
    # numbers
    ("methods.kd.alpha", 1.5, "methods.kd.alpha: expected a number in [0, 1], got 1.5"),
    ("methods.kd.alpha", -0.1, "methods.kd.alpha: expected a number in [0, 1], got -0.1"),
    ("methods.kd.alpha", "half", "methods.kd.alpha: expected a number in [0, 1], got 'half'"),
    ("methods.kd.alpha", True, "methods.kd.alpha: expected a number in [0, 1], got True"),
    ("methods.kd.temperature", 0, "methods.kd.temperature: expected a number > 0, got 0"),
    ("methods.kd.temperature", -4, "methods.kd.temperature: expected a number > 0, got -4"),
    ("methods.kd.temperature", float("nan"), "methods.kd.temperature: expected a number > 0, got nan"),
    ("methods.kd.temperature", float("inf"), "methods.kd.temperature: expected a number > 0, got inf"),
    ("methods.kd.temperature", "1e999", "methods.kd.temperature: expected a number > 0, got '1e999'"),
    ("methods.kd.epochs", 0, "methods.kd.epochs: expected a whole number >= 1, got 0"),
    ("methods.kd.epochs", 1.5, "methods.kd.epochs: expected a whole number >= 1, got 1.5"),
    ("methods.kd.epochs", True, "methods.kd.epochs: expected a whole number >= 1, got True"),
    ("methods.kd.epochs", None, "methods.kd.epochs: expected a whole number >= 1, got None"),
    ("methods.kd.momentum", 1, "methods.kd.momentum: expected a number in [0, 1), got 1"),
    ("methods.kd.weight_decay", -1, "methods.kd.weight_decay: expected a number >= 0, got -1"),
    ("methods.kd.batch_size", 0, "methods.kd.batch_size: expected a whole number >= 1, got 0"),
    ("defaults.learning_rate", 0, "defaults.learning_rate: expected a number > 0, got 0"),
    ("data.std", [0.2, 0, 0.2], "data.std.1: expected a number > 0, got 0"),
    ("checkpoint.overhead", 2, "checkpoint.overhead: expected a number in [0, 1], got 2"),
    ("evaluate_every", 0, "evaluate_every: expected a whole number >= 1, got 0"),
    ("threads", 0, "threads: expected auto or a whole number >= 1, got 0"),
    ("table.decimals", 5, "table.decimals: expected a whole number from 0 to 4, got 5"),
    # seeds
    ("seeds", [], f"seeds: {SEEDS}[]"),
    ("seeds", [0, 0], f"seeds: {SEEDS}[0, 0]"),
    ("seeds", [-1], f"seeds: {SEEDS}[-1]"),
    ("seeds", [1.5], f"seeds: {SEEDS}[1.5]"),
    ("seeds", ["a"], f"seeds: {SEEDS}['a']"),
    ("seeds", [True], f"seeds: {SEEDS}[True]"),
    ("seeds", None, f"seeds: {SEEDS}None"),
    ("seeds", [2**64], f"seeds: {SEEDS}[18446744073709551616]"),
    ("seeds", [10**400], f"seeds: {SEEDS}"),
    ("methods.kd.seeds", [], f"methods.kd.seeds: {SEEDS}[]"),
    (
        "methods.kd.teacher_seed",
        "mod 0",
        "methods.kd.teacher_seed: expected same, next, a seed, mod <n>, or a list of seeds, got 'mod 0'",
    ),
    ("methods.kd.teacher_seed", [1, 1], f"methods.kd.teacher_seed: {SEEDS}[1, 1]"),
    ("methods.kd.teacher_seed", [1, "same"], f"methods.kd.teacher_seed: {SEEDS}[1, 'same']"),
    ("methods.kd.teacher_seed", [], f"methods.kd.teacher_seed: {SEEDS}[]"),
    # words
    ("protocol", "../x", "protocol: expected a name of lower-case letters, digits, - and _"),
    ("device", "gpu", "device: expected auto, cpu, cuda or cuda:<n>, got 'gpu'"),
    ("device", "", "device: expected auto, cpu, cuda or cuda:<n>, got ''"),
    ("deterministic", "yes", "deterministic: expected true or false, got 'yes'"),
    ("resume_policy", "lax", "resume_policy: expected one of strict, relaxed, got 'lax'"),
    ("data.dataset", "mnist", "data.dataset: expected one of cifar10, cifar100, digits, got 'mnist'"),
    ("methods.kd.model", "resnet19", "methods.kd.model: expected one of resnet18, resnet50, got 'resnet19'"),
    ("methods.kd.stem", ["cifar"], "methods.kd.stem: expected one of cifar, cifar_pool, imagenet, got ['cifar']"),
    (
        "methods.kd.augmentation",
        ["crp"],
        "methods.kd.augmentation.0: expected one of crop, flip, rotation, autoaugment, color_jitter, random_erasing,"
        " got 'crp'",
    ),
    ("methods.kd.augmentation", "crop", "methods.kd.augmentation: expected a list, got 'crop'"),
    ("defaults.precision", "fp8", "defaults.precision: expected one of auto, fp32, tf32, bf16, fp16, got 'fp8'"),
    ("methods.kd.published", {"accuracy": 1, "time": "2h"}, "methods.kd.published.time: expected a duration such as"),
    ("data.archives", [{"url": "a", "sha256": "a" * 64}], "data.archives.0.url: expected a URL"),
    ("data.archives", [{"sha256": "a" * 64}], "data.archives.0: expected either url or path"),
    (
        "methods.kd.objective",
        "knowledge_destillation",
        f"methods.kd.objective: expected one of {NAMES}, got 'knowledge_destillation' (did you mean knowledge_",
    ),
    ("methods.kd.objective", ["a"], f"methods.kd.objective: expected one of {NAMES}, got ['a']"),
    ("methods.kd.objective", {"a": 1}, f"methods.kd.objective: expected one of {NAMES}, got {{'a': 1}}"),
    # shapes
    ("data", None, "data: expected keys and values, got None"),
    ("data.mean", 0.5, "data.mean: expected a list, got 0.5"),
    ("rows", "kd", "rows: expected a list, got 'kd'"),
    ("defaults", None, "defaults: expected keys and values, got None"),
    ("methods", [], "methods: expected keys and values, got []"),
    ("methods", {}, "methods: expected at least one method, got none"),
    ("methods.kd", None, "methods.kd: expected keys and values, got None"),
    # what concerns several keys
    ("rows", [], "rows: expected different methods, at least one, got []"),
    ("rows", ["kd", "kd"], "rows: expected different methods, at least one, got ['kd', 'kd']"),
    ("rows", ["kd", "contrl"], f"rows.1: expected one of {METHODS}, got 'contrl' (did you mean control?)"),
    ("methods.kd.batch_size", 50_001, "methods.kd.batch_size: expected at most the 50000 training images, got 50001"),
    ("methods.kd.teacher", "teachr", f"methods.kd.teacher: expected one of {METHODS}, got 'teachr' (did you mean"),
    ("methods.kd.teacher", "kd", "methods.kd.teacher: expected a teacher that is not its own pupil, got kd <- kd"),
    (
        "methods.kd.cross_entropy_weight",
        1,
        "methods.kd: expected either alpha or the two weights (alpha: null drops it)",
    ),
    ("data.train_images", 50_010, "data.train_images: expected a multiple of 10 up to 50000 for cifar10, got 50010"),
    ("data.archives", [], "data.archives: expected at least one archive for cifar10, got none"),
]


@pytest.mark.parametrize(("key", "value", "line"), REFUSED, ids=[f"{key}={value!s:.20}" for key, value, _ in REFUSED])
def test_a_wrong_value_is_one_line_that_names_it(key, value, line, paper):
    put(paper, key, value)
    (found,) = problems(paper)
    assert found.startswith(line)


@pytest.mark.parametrize("name", ["KD", "data", "logs", "a b", "../kd"])
def test_a_method_needs_a_name_that_can_be_a_folder(name, paper):
    paper["methods"][name] = paper["methods"]["control"]
    (found,) = problems(paper)
    assert found.startswith(f"methods.{name}: expected a name of lower-case letters, digits, - and _")


def test_every_top_level_key_is_required(paper):
    keys = [key for key in paper if key != "defaults"]
    assert sorted(problems({})) == sorted(f"{key}: missing" for key in keys)


def test_without_defaults_every_method_must_say_all(paper):
    del paper["defaults"]
    assert "methods.kd.learning_rate: missing" in problems(paper)


def test_a_train_images_that_leaves_classes_unequal_is_refused(paper):
    paper["data"]["train_images"] = 1005
    assert "data.train_images: expected a multiple of 10 up to 50000 for cifar10, got 1005" in problems(paper)


def test_a_batch_larger_than_the_reduced_data_is_refused(paper):
    paper["data"]["train_images"] = 200
    assert problems(paper) == ["methods.teacher.batch_size: expected at most the 200 training images, got 256"]


def test_teachers_in_a_circle_are_refused(paper):
    kd = paper["methods"]["kd"]
    paper["methods"] |= {"kd": {**kd, "teacher": "kd_b"}, "kd_b": {**kd, "teacher": "kd"}}
    wrong = "expected a teacher that is not its own pupil, got"
    assert problems(paper) == [
        f"methods.kd.teacher: {wrong} kd <- kd_b <- kd",
        f"methods.kd_b.teacher: {wrong} kd_b <- kd <- kd_b",
    ]


def test_a_pupil_of_a_circle_is_not_blamed_for_it(paper):
    kd = paper["methods"]["kd"]
    paper["methods"] |= {"kd": {**kd, "teacher": "kd"}, "kd_b": {**kd, "teacher": "kd"}}
    assert problems(paper) == ["methods.kd.teacher: expected a teacher that is not its own pupil, got kd <- kd"]


def test_a_wrong_default_is_named_once_where_it_stands(paper):
    paper["defaults"]["momentum"] = 1
    assert problems(paper) == ["defaults.momentum: expected a number in [0, 1), got 1"]


def test_everything_that_is_wrong_is_named_at_once(paper):
    paper |= {"seeds": [], "device": "gpu", "epoch": 3, "rows": ["kd", "kdd"]}
    paper["data"]["mean"] = None
    paper["defaults"]["momentum"] = 1
    paper["methods"]["kd"] |= {"alpha": 2, "teacher": "teachr", "temprature": 4}
    paper["methods"]["teacher"]["batch_size"] = 10**6
    paper["methods"]["control"] = None
    keys = [line.split(": ")[0] for line in problems(paper)]
    assert sorted(keys) == sorted(
        [
            *("seeds", "device", "epoch", "rows.1", "data.mean", "defaults.momentum", "methods.control"),
            *("methods.kd.alpha", "methods.kd.teacher", "methods.kd.temprature"),
        ]
    )


def test_what_concerns_several_keys_is_checked_beside_other_mistakes(paper):
    paper["seeds"] = []
    paper["methods"]["teacher"] |= {"batch_size": "1e6", "epochs": 0}
    keys = [line.split(": ")[0] for line in problems(paper)]
    assert sorted(keys) == ["methods.teacher.batch_size", "methods.teacher.epochs", "seeds"]


# Files

BROKEN = {
    "a key twice": ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is given twice (first in line 1)"),
    "a block twice": ("methods:\n  kd: {x: 1}\n  kd: {y: 2}\n", "line 3: key 'kd' is given twice (first in line 2)"),
    "a key twice in a list": ("a:\n- b: 1\n  b: 2\n", "line 3: key 'b' is given twice"),
    "a key twice in braces": ("a: {b: 1, b: 2}\n", "line 1: key 'b' is given twice"),
    "a key twice by its quotes": ('a: 1\n"a": 2\n', "line 2: key 'a' is given twice"),
    "a tab": ("a:\n\tb: 1\n", "line 2: found character '\\t' that cannot start any token"),
    "an open bracket": ("a: [1\n", "line 2: "),
    "nothing": ("", "is empty"),
    "a comment": ("# later\n", "is empty"),
    "a list": ("- a\n- b\n", "expected keys and values, got list"),
    "a text": ("learning\n", "expected keys and values, got str"),
    "an alias": ("a: &x [1]\nb: *x\n", "line 2: aliases are not allowed"),
    "a merged alias": ("a: &x {c: 1}\nb: {<<: *x}\n", "line 2: aliases are not allowed"),
    "a bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "line 2: aliases are not allowed"),
    "a number as key": ("a: {1: x}\n", "line 1: expected a text as key, got 1"),
    "a list as key": ("? [a]\n: b\n", "line 1: expected a text as key, got ['a']"),
    "two documents": ("a: 1\n---\na: 2\n", "line 2: "),
    "an object": ("a: !!python/object/apply:os.system [true]\n", "line 1: tags are not allowed"),
    "a wrong date": ("a: 2025-02-30\n", "day"),
    "too many digits": (f"a: {'9' * 5000}\n", "Exceeds the limit"),
    "too deep": ("a: " + "[" * 20_000, "recursion"),
    "too large": ("a: '" + "x" * 65_536 + "'\n", "expected at most 65536 bytes, got 65542"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_named_with_its_line(broken, tmp_path, refused):
    content, what = BROKEN[broken]
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with refused(CONFIGURATION, f"error: {path}: ", what):
        read_yaml(path)


def test_a_file_that_is_no_utf8_is_refused(tmp_path, refused):
    (tmp_path / "mine.yaml").write_bytes("a: ä".encode("latin-1"))
    with refused(CONFIGURATION, "mine.yaml: expected UTF-8 text, got byte 0xe4 at 3"):
        read_yaml(tmp_path / "mine.yaml")


@pytest.mark.parametrize("names", [["quick"], ["quick", "demo"]])
def test_files_that_are_laid_over_another_say_in_one_line_that_it_comes_first(names, repository, refused):
    files = " ".join(str(repository / f"workflow/protocols/{name}.yaml") for name in names)
    alone = f"error: {files}: do{'es' * (len(names) == 1)} not stand alone, "
    with refused(CONFIGURATION, alone, f" top-level keys are missing; config.yaml comes first: config.yaml {files}"):
        load_config(files.split())
    command = [sys.executable, "-m", "selfdistill", "check", *files.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (CONFIGURATION, "", 1)


def test_of_a_whole_configuration_that_lacks_something_each_key_is_named(tmp_path, paper):
    del paper["seeds"], paper["figures"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(paper))
    with pytest.raises(Failures) as caught:
        load_config([tmp_path / "mine.yaml"])
    assert set(str(caught.value).splitlines()) == {"error: seeds: missing", "error: figures: missing"}
    (tmp_path / "config.yaml").write_text("seeds: [0]\n")  # one of this name is not told to come before itself
    with pytest.raises(Failures) as caught:
        load_config([tmp_path / "config.yaml"])
    assert "error: figures: missing" in str(caught.value).splitlines()


def test_a_missing_file_is_refused(tmp_path, refused):
    with refused(CONFIGURATION, "none.yaml: cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_every_broken_file_is_named_at_once(tmp_path, refused):
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\n")
    with refused(CONFIGURATION, "a.yaml: line 2", "b.yaml: cannot be read"):
        load_config([tmp_path / "a.yaml", tmp_path / "b.yaml"])


def test_one_anchor_without_alias_is_harmless(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x [1]\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1]}


# Laying one file over another


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({}, {"a": {"b": 1, "c": [1, 2]}, "d": 3}),
        ({"a": {"b": 9}}, {"a": {"b": 9, "c": [1, 2]}, "d": 3}),
        ({"a": {"c": [3]}}, {"a": {"b": 1, "c": [3]}, "d": 3}),
        ({"a": 4}, {"a": 4, "d": 3}),
        ({"d": {"e": 5}}, {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 5}}),
        ({"f": {"g": 6}}, {"a": {"b": 1, "c": [1, 2]}, "d": 3, "f": {"g": 6}}),
        ({"d": None}, {"a": {"b": 1, "c": [1, 2]}, "d": None}),
    ],
)
def test_mappings_merge_and_anything_else_is_replaced(over, expected):
    assert merge({"a": {"b": 1, "c": [1, 2]}, "d": 3}, over) == expected


def test_merging_changes_neither_side():
    base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    merge(base, over)
    assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_merging_is_snakemakes():
    snakemake = pytest.importorskip("snakemake.utils")
    base, over = {"a": {"b": 1, "c": [1, 2]}, "d": 3}, {"a": {"c": [3], "x": {"y": 1}}, "d": {"e": 5}}
    expected = merge(base, over)
    theirs = copy.deepcopy(base)
    snakemake.update_config(theirs, over)
    assert theirs == expected


def test_later_files_win(tmp_path, repository):
    for name, epochs in (("a", 5), ("b", 7)):
        (tmp_path / f"{name}.yaml").write_text(f"methods: {{kd: {{epochs: {epochs}}}}}\n")
    config = load_config([repository / "config.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert (config.methods["kd"].epochs, config.methods["control"].epochs) == (7, 200)


def test_nesterov_needs_momentum(paper):
    paper["defaults"] |= {"nesterov": True, "momentum": 0}
    assert "methods.kd.nesterov: expected false with momentum 0, got True" in problems(paper)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("figures.names", ["loss", "loss"], "expected different items, at least one, got ['loss', 'loss']"),
        ("figures.names", [], "expected different items, at least one, got []"),
        ("figures.width", 0.001, "expected a number from 1 to 20 (inches), got 0.001"),
        ("methods.kd.temperature", 1e200, "expected a number from 0.001 to 1000, got 1e+200"),
        ("methods.kd.learning_rate", 1e38, "expected a number from 0 to 1000, got 1e+38"),
        ("methods.kd.published.accuracy", 901, "expected a number from 0 to 100 (percent), got 901"),
        ("methods.kd.published.time", "1h 99m 99s", "expected a duration such as 1h 56m 17s, got '1h 99m 99s'"),
        ("methods.kd.augmentation", ["crop", "crop"], "expected different items, got ['crop', 'crop']"),
        ("table.label", "a}b%", "expected a LaTeX label of letters, digits and : . _ -, got 'a}b%'"),
    ],
)
def test_values_that_would_fail_later_are_refused_now(key, value, line, paper):
    put(paper, key, value)
    assert any(problem.startswith(f"{key}: {line}"[:60]) for problem in problems(paper))


def test_gpu_precision_on_a_configured_cpu_is_refused(paper):
    paper |= {"device": "cpu"}
    paper["defaults"]["precision"] = "fp16"
    expected = "methods.kd.precision: expected auto, fp32 or bf16 with device cpu, got 'fp16'"
    assert expected in problems(paper)


def test_rows_whose_macros_would_be_the_same_are_refused(paper):
    paper["methods"]["k-d"] = dict(paper["methods"]["kd"])
    paper["rows"] = ["kd", "k-d"]
    assert problems(paper) == ["rows.1: expected names that differ in more than - and _, got 'k-d' beside 'kd'"]


def test_the_runs_are_those_of_the_rows_and_their_teachers(paper):
    paper |= {"rows": ["kd"], "seeds": [0, 1]}
    paper["methods"]["kd"]["teacher_seed"] = 7
    assert validate(paper).runs() == [("kd", 0), ("kd", 1), ("teacher", 7)]


@pytest.mark.parametrize("key", ["compile", "capture"])
@pytest.mark.parametrize("word", ["on", "off", "auto"])
def test_a_bare_on_or_off_is_taken_as_written(key, word, repository, tmp_path):
    """YAML 1.1 makes them booleans."""
    (tmp_path / "mine.yaml").write_text(f"{key}: {word}\n")
    assert getattr(load_config([repository / "config.yaml", tmp_path / "mine.yaml"]), key) == word
