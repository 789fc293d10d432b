import json

import jsonschema
import pytest

from selfdistill.config.json_schema import json_schema
from selfdistill.config.reading import LIBRARY, merge, read_yaml
from selfdistill.config.summary import summary


def changed(config, method, **changes):
    """The configuration with another version of one method."""
    block = config.methods[method].model_copy(update=changes)
    return config.model_copy(update={"methods": {**config.methods, method: block}})


def test_a_students_teachers_have_the_seeds_of_the_rule(config):
    for rule, expected in {"same": [7], "mod 3": [1], 0: [0], (1, 2, 3): [1, 2, 3]}.items():
        taught = changed(config, "kd", teacher_seed=list(rule) if isinstance(rule, tuple) else rule)
        assert taught.teachers_of("kd", 7) == [("teacher", seed) for seed in expected]
    assert taught.runs(["kd"]) == [("kd", 0), ("teacher", 1), ("teacher", 2), ("teacher", 3)]
    assert config.teachers_of("control", 7) == []


def test_the_next_seed_teaches_which_is_never_the_students_own(config):
    """The next of the teacher's seeds teaches, after the last one the first. With one seed, another one is trained."""
    config = changed(config.model_copy(update={"seeds": [0, 5, 2]}), "kd", teacher="control", teacher_seed="next")
    assert [config.teachers_of("kd", seed)[0][1] for seed in (0, 2, 5, 3)] == [2, 5, 0, 5]
    alone = config.model_copy(update={"seeds": [0], "rows": ["control", "born_again"]})
    assert alone.teachers_of("born_again", 0) == [("control", 1)]
    assert alone.runs() == [("control", 0), ("born_again", 0), ("control", 1)]
    last = config.model_copy(update={"seeds": [2**63 - 1]})
    assert last.teachers_of("born_again", 2**63 - 1) == [("control", 0)]


def test_a_run_is_compared_with_its_own_teacher_and_one_run_of_each_other_method(config):
    block = config.methods["kd"]
    methods = {"kd": block, "kd_next": block.model_copy(update={"teacher_seed": "next"})}
    rows = ["teacher", "kd", "kd_next", "born_again", "control"]
    config = config.model_copy(update={"seeds": [0, 1], "rows": rows, "methods": {**config.methods, **methods}})
    expected = {
        "teacher": [],
        "kd": [("teacher", 0), ("control", 1)],
        "kd_next": [("teacher", 1), ("control", 1)],
        "control": [("teacher", 0), ("control", 1)],
    }
    assert {method: config.compared_with(method, 0) for method in expected} == expected


def test_check_says_what_it_understood(config):
    alone = config.model_copy(update={"seeds": [0, 3], "rows": ["control", "born_again"]})
    assert summary(changed(alone, "born_again", seeds=[3], epochs=7)) == [
        "valid: protocol paper, 2 rows, 3 runs",
        "  control: seeds 0, 3, 200 epochs",
        "  born_again: seed 3, 7 epochs, taught by control seed 0",
    ]
    assert summary(alone.model_copy(update={"seeds": [0]}))[-2:] == [
        "  born_again: seed 0, 200 epochs, taught by control seed 1",
        "  also trained, as teachers: control seed 1",
    ]
    gone = alone.data.archives[0].model_copy(update={"url": None, "path": "gone.tar"})
    gone = alone.model_copy(update={"data": alone.data.model_copy(update={"archives": [gone]})})
    assert summary(gone)[-1] == "notice: data.archives.0.path: gone.tar does not exist"


def test_the_papers_methods_are_their_own_stages(config):
    assert [config.stage_of(method) for method in config.rows] == config.rows
    assert changed(config, "kd", role="teacher").stage_of("kd") == "kd"  # although it teaches


# The schema for editors


def test_the_committed_schema_is_the_current_one(repository):
    committed = json.loads((repository / "workflow" / "schemas" / "config.schema.json").read_text())
    assert committed == json_schema(), "write it again: python -m selfdistill check config.yaml --schema <that file>"


def test_the_schema_accepts_our_files(repository):
    protocols = sorted((repository / "workflow/protocols").glob("*.yaml"))
    for file in [repository / "config.yaml", *LIBRARY, *protocols]:
        jsonschema.validate(read_yaml(file), json_schema())


def test_the_schema_refuses_what_validation_refuses(parsed):
    kd = [{"methods": {"kd": block}} for block in ({"temprature": 4}, {"alpha": 2}, {"stem": "none"})]
    for part in ({"sedes": [0]}, {"data": {"datset": "cifar10"}}, {"defaults": {"learning_rte": 0.1}}, *kd):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(merge(parsed, part), json_schema())
