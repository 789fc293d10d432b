import json

import jsonschema
import pytest
from pydantic import ValidationError

from selfdistill.config.json_schema import json_schema
from selfdistill.config.methods import Method, method_model
from selfdistill.config.reading import LIBRARY, merge, read_yaml
from selfdistill.config.schema import Archive, Config, Data
from selfdistill.config.summary import summary

SHA256 = "a" * 64


def changed(config, method, **changes):
    """The configuration with another version of one method."""
    block = config.methods[method].model_copy(update=changes)
    return config.model_copy(update={"methods": {**config.methods, method: block}})


def test_a_configuration_does_not_change_after_validation(config):
    with pytest.raises(ValidationError, match="frozen"):
        config.seeds = [1]


def test_the_papers_values(config):
    kd, teacher = config.methods["kd"], config.methods["teacher"]
    assert (teacher.model, teacher.epochs, teacher.learning_rate, teacher.schedule) == ("resnet50", 300, 0.1, "cosine")
    assert (kd.model, kd.epochs, kd.temperature, kd.alpha) == ("resnet18", 200, 4.0, 0.5)
    assert {method.width for method in config.methods.values()} == {64}


@pytest.mark.parametrize("place", [{}, {"url": "https://a/b", "path": "b"}, {"url": None}, {"url": None, "path": None}])
def test_an_archive_has_either_url_or_path(place):
    with pytest.raises(ValidationError, match="either url or path"):
        Archive(sha256=SHA256, **place)


def test_an_archive_needs_its_sha256():
    with pytest.raises(ValidationError, match="sha256"):
        Archive(url="https://a/b")


@pytest.mark.parametrize(("train_images", "used"), [(None, 50_000), (10_000, 10_000)])
def test_used_train_images(train_images, used):
    data = Data(
        dataset="cifar10", train_images=train_images, holdout_images=0, mean=[0, 0, 0], std=[1, 1, 1], archives=[]
    )
    assert data.used_train_images == used


@pytest.mark.parametrize("std", [[1, 1, 0], [1, 1], [1, 1, 1, 1], [1, 1, float("nan")]])
def test_a_standard_deviation_is_three_numbers_above_0(std):
    with pytest.raises(ValidationError):
        Data(dataset="cifar10", train_images=None, holdout_images=0, mean=[0, 0, 0], std=std, archives=[])


def test_a_method_has_its_own_seeds_or_the_shared_ones(config):
    config = changed(config.model_copy(update={"seeds": [0, 1]}), "kd", seeds=[5])
    assert (config.seeds_of("kd"), config.seeds_of("control")) == ([5], [0, 1])


def test_seed_0_of_a_method_is_a_seed(config):
    config = changed(config.model_copy(update={"seeds": [3]}), "kd", seeds=[0])
    assert config.seeds_of("kd") == [0]


@pytest.mark.parametrize(("rule", "seed", "expected"), [("same", 7, 7), ("mod 3", 7, 1), ("mod 3", 2, 2), (0, 7, 0)])
def test_a_students_teacher_has_the_seed_of_the_rule(rule, seed, expected, config):
    assert changed(config, "kd", teacher_seed=rule).teachers_of("kd", seed) == [("teacher", expected)]


def test_the_next_seed_teaches_which_is_never_the_students_own(config):
    """Of those that the teacher has, the last being taught by the first; with one seed, another one is trained."""
    config = changed(config.model_copy(update={"seeds": [0, 5, 2]}), "kd", teacher="control", teacher_seed="next")
    assert [config.teachers_of("kd", seed)[0][1] for seed in (0, 2, 5, 3)] == [2, 5, 0, 5]
    alone = config.model_copy(update={"seeds": [0], "rows": ["control", "born_again"]})
    assert alone.teachers_of("born_again", 0) == [("control", 1)]
    assert alone.runs() == [("control", 0), ("born_again", 0), ("control", 1)]
    last = config.model_copy(update={"seeds": [2**63 - 1]})
    assert last.teachers_of("born_again", 2**63 - 1) == [("control", 0)]


def test_check_says_what_it_understood(config):
    alone = config.model_copy(update={"seeds": [0, 3], "rows": ["control", "born_again"]})
    assert summary(changed(alone, "born_again", seeds=[3], epochs=7)) == [
        "valid: protocol paper, 2 rows, 3 runs",
        "  control: seeds 0, 3, 200 epochs",
        "  born_again: seed 3, 7 epochs, taught by control seed 0",
    ]
    assert summary(alone.model_copy(update={"seeds": [0]}))[-2:] == [
        "  born_again: seed 0, 200 epochs, taught by control seed 1",
        "  trained beside them, to teach: control seed 1",
    ]


def test_check_says_that_an_archive_is_not_there(config, tmp_path, refused):
    file, url = Archive(path=str(tmp_path / "a.tar"), sha256=SHA256), config.data.archives[0]

    def with_archives(*archives):
        return config.model_copy(update={"data": config.data.model_copy(update={"archives": list(archives)})})

    with refused(78, f"data.archives.0.path: expected a file, got '{tmp_path}/a.tar', which is not there"):
        summary(with_archives(file))
    assert summary(with_archives(file, url))[-1] == f"  {tmp_path}/a.tar is not there; the next archive is tried"
    (tmp_path / "a.tar").touch()
    assert "a.tar" not in "".join(summary(with_archives(file)))


def test_several_seeds_teach_every_student_alike(config):
    config = changed(config, "kd", teacher_seed=[1, 2, 3])
    assert config.teachers_of("kd", 0) == config.teachers_of("kd", 2) == [("teacher", seed) for seed in (1, 2, 3)]
    assert config.runs(["kd"]) == [("kd", 0), ("teacher", 1), ("teacher", 2), ("teacher", 3)]


@pytest.mark.parametrize("method", ["teacher", "self_distillation", "control"])
def test_other_methods_have_no_teacher(method, config):
    assert config.teachers_of(method, 0) == []


@pytest.mark.parametrize("method", ["teacher", "kd", "self_distillation", "control"])
def test_the_papers_methods_are_their_own_stages(method, config):
    assert config.stage_of(method) == method


def test_a_method_with_a_teacher_is_of_the_kd_stage_even_if_it_teaches(config):
    assert changed(config, "kd", role="teacher").stage_of("kd") == "kd"


PAIR = {"temperature", "t_squared", "alpha", "cross_entropy_weight", "distillation_weight"}


@pytest.mark.parametrize(
    ("objective", "own"),
    [
        ("cross_entropy", {"loss_scale"}),
        ("deep_supervision", {"heads", "cross_entropy_weight"}),
        ("constant_teacher", PAIR),
        (
            "knowledge_distillation",
            PAIR | {"teacher", "teacher_seed", "replaced_stem"},
        ),
        ("self_distillation", PAIR | {"heads", "detach", "classifiers", "feature_weight"}),
    ],
)
def test_an_objective_adds_its_keys_to_those_of_every_method(objective, own):
    assert set(method_model(objective).model_fields) == set(Method.model_fields) | own


# The schema for editors


@pytest.fixture
def files(repository):
    return [repository / "config.yaml", *LIBRARY, *sorted((repository / "workflow" / "protocols").glob("*.yaml"))]


def test_the_committed_schema_is_the_current_one(repository):
    committed = json.loads((repository / "workflow" / "schemas" / "config.schema.json").read_text())
    assert committed == json_schema(), "write it again: python -m selfdistill check config.yaml --schema <that file>"


def test_the_schema_accepts_our_files(files):
    assert len(files) > 3
    for file in files:
        jsonschema.validate(read_yaml(file), json_schema())


@pytest.mark.parametrize(
    "part",
    [
        {"sedes": [0]},
        {"data": {"datset": "cifar10"}},
        {"defaults": {"learning_rte": 0.1}},
        {"methods": {"kd": {"temprature": 4}}},
        {"methods": {"kd": {"alpha": 2}}},
        {"methods": {"kd": {"stem": "none"}}},
        {"device": "gpu"},
    ],
)
def test_the_schema_refuses_what_validation_refuses(part, parsed):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merge(parsed, part), json_schema())


def test_the_schema_knows_every_top_level_key():
    assert set(json_schema()["properties"]) == {*Config.model_fields, "defaults"}
