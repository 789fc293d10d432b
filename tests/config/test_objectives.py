import ast

import pytest

from selfdistill.config import objectives as module
from selfdistill.config.load import read_yaml, validate
from selfdistill.config.objectives import Requirements, objectives
from selfdistill.config.schema import json_schema, method_model
from selfdistill.config.settings import run_settings

PAIR = ("temperature", "cross_entropy_weight", "distillation_weight")
NEW_OBJECTIVE = '''

@objective(teacher=True, heads=True)
def feature_matching(outputs, labels, teacher_logits, *, temperature: float, feature_weight: float) -> LossTerms:
    """A method of somebody else."""
    return LossTerms((Term(feature_weight, outputs.final.mean()),))
'''


@pytest.fixture
def with_a_new_objective(tmp_path, monkeypatch):
    """losses/objectives.py with one more function at its end; nothing else is touched."""
    source = tmp_path / "objectives.py"
    source.write_text(module.SOURCE.read_text() + NEW_OBJECTIVE)
    monkeypatch.setattr(module, "SOURCE", source)
    objectives.cache_clear()
    method_model.cache_clear()
    yield
    objectives.cache_clear()
    method_model.cache_clear()


@pytest.fixture
def values(repository):
    """The paper's configuration with a method of the new objective."""
    values = read_yaml(repository / "config.yaml")
    block = {key: value for key, value in values["methods"]["kd"].items() if key not in ("alpha", "published")}
    values["methods"]["mine"] = {**block, "objective": "feature_matching", "heads": "fc", "feature_weight": "1e-1"}
    values["rows"] = [*values["rows"], "mine"]
    return values


def test_the_papers_objectives_and_what_they_ask_for():
    assert objectives() == {
        "cross_entropy": Requirements((), teacher=False, heads=False),
        "knowledge_distillation": Requirements(PAIR, teacher=True, heads=False),
        "self_distillation": Requirements(PAIR, teacher=False, heads=True),
    }


def test_a_new_objective_is_known(with_a_new_objective):
    assert objectives()["feature_matching"] == Requirements(("temperature", "feature_weight"), teacher=True, heads=True)


def test_a_new_objectives_keywords_reach_its_runs(with_a_new_objective, values):
    settings = run_settings(validate(values), "mine")
    assert settings["parameters"] == {"temperature": 4.0, "feature_weight": 0.1}
    assert (settings["heads"], settings["teacher"]["model"]) == ("fc", "resnet50")


@pytest.mark.parametrize("key", ["temperature", "feature_weight", "teacher", "heads"])
def test_what_a_new_objective_asks_for_is_required(key, with_a_new_objective, values, refused):
    del values["methods"]["mine"][key]
    with refused(78, f"error: methods.mine.{key}: missing"):
        validate(values)


def test_a_new_objectives_numbers_are_checked(with_a_new_objective, values, refused):
    values["methods"]["mine"] |= {"feature_weight": "much", "temperature": 0}
    with refused(78, "methods.mine.feature_weight: expected a finite number, got 'much'", "methods.mine.temperature"):
        validate(values)


def test_a_new_objective_has_no_alpha_unless_it_takes_the_pair(with_a_new_objective, values, refused):
    values["methods"]["mine"]["alpha"] = 0.5
    with refused(78, "error: methods.mine.alpha: unknown key"):
        validate(values)


def test_a_new_objectives_keyword_is_unknown_to_the_others(with_a_new_objective, values, refused):
    values["methods"]["kd"]["feature_weight"] = 1
    with refused(78, "error: methods.kd.feature_weight: unknown key"):
        validate(values)


def test_a_new_objectives_keyword_may_be_a_default(with_a_new_objective, values):
    del values["methods"]["mine"]["feature_weight"]
    values["defaults"]["feature_weight"] = 2
    assert validate(values).methods["mine"].feature_weight == 2


def test_a_new_objectives_keyword_is_in_the_schema(with_a_new_objective):
    assert "feature_weight" in json_schema()["properties"]["methods"]["additionalProperties"]["properties"]


def test_decorators_are_literal():
    for node in ast.walk(ast.parse(module.SOURCE.read_text())):
        for decorator in getattr(node, "decorator_list", []):
            assert all(isinstance(keyword.value, ast.Constant) for keyword in getattr(decorator, "keywords", []))
