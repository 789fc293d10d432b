import pytest

from selfdistill.config import objectives as module
from selfdistill.config.json_schema import json_schema
from selfdistill.config.load import validate
from selfdistill.config.methods import method_model
from selfdistill.config.objectives import objectives
from selfdistill.config.settings import run_settings

NEW_OBJECTIVE = '''

@objective(teacher=True, heads=True)
def feature_matching(outputs, labels, teacher_logits, *, temperature: float, matching_weight: float) -> LossTerms:
    """A method of somebody else."""
    return LossTerms((Term(matching_weight, outputs.final.mean()),))
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
def values(values):
    """The paper's configuration with a method of the new objective."""
    block = {key: value for key, value in values["methods"]["kd"].items() if key not in ("alpha", "published")}
    own = {"label": "Mine", "objective": "feature_matching", "heads": "fc", "matching_weight": "1e-1"}
    values["methods"]["mine"] = block | own
    values["rows"] = [*values["rows"], "mine"]
    return values


def test_a_new_objectives_keywords_reach_its_runs_and_may_be_defaults(with_a_new_objective, values):
    settings = run_settings(validate(values), "mine")
    assert settings["parameters"] == {"temperature": 4.0, "matching_weight": 0.1}
    assert (settings["heads"], settings["teacher"]["model"]) == ("fc", "resnet50")
    del values["methods"]["mine"]["matching_weight"]
    values["defaults"]["matching_weight"] = 2
    assert validate(values).methods["mine"].matching_weight == 2
    assert "matching_weight" in json_schema()["properties"]["methods"]["additionalProperties"]["properties"]


def test_what_a_new_objective_asks_for_is_required_and_checked(with_a_new_objective, values, problems):
    block = values["methods"]["mine"]
    for key in ("temperature", "matching_weight", "teacher", "heads"):
        values["methods"]["mine"] = {name: value for name, value in block.items() if name != key}
        assert problems(values) == [f"methods.mine.{key}: missing"]
    values["methods"]["mine"] = block | {"matching_weight": "much", "alpha": 0.5}
    values["methods"]["kd"]["matching_weight"] = 1
    assert sorted(line.split(" (")[0] for line in problems(values)) == [
        "methods.kd.matching_weight: unknown key",
        "methods.mine.alpha: unknown key",
        "methods.mine.matching_weight: expected a finite number, got 'much'",
    ]
