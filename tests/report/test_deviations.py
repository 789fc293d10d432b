"""Text, notebooks and protocols side by side: nothing is typed twice, and no effect is shown that is not one."""

import csv
import re
import shutil
import subprocess

import pytest
from helpers.reporting import arm
from helpers.tools import needs
from typer.testing import CliRunner

from selfdistill.cli import app
from selfdistill.config.claims import Rules
from selfdistill.config.load import load_config
from selfdistill.config.settings import run_settings
from selfdistill.report.deviations import Measured, deviations, named
from selfdistill.report.factors import factors
from selfdistill.report.ledger import Effect, read_gaps

BESIDE = ("as_run", "controlled")
RULES = Rules(margin=0.2, level_tolerance=0.5, rounding=0.05, ratio_tolerance=0.02, device="a", family=[])


@pytest.fixture(scope="module")
def root(request):
    return request.config.rootpath


@pytest.fixture(scope="module")
def configs(root):
    """Every protocol that trains, by name; `paper` is the base."""
    paths = [path for path in sorted((root / "workflow/protocols").glob("*.yaml")) if path.stem != "sweep"]
    return {"paper": load_config([root / "config.yaml"])} | {
        path.stem: load_config([root / "config.yaml", path]) for path in paths
    }


@pytest.fixture(scope="module")
def gaps(root):
    return read_gaps(root / "docs/paper-gaps.yaml")


@pytest.fixture(scope="module")
def protocols(configs):
    return {name: configs[name] for name in ("paper", *BESIDE)}


def run(*arguments):
    result = CliRunner().invoke(app, ["deviations", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def options(root):
    beside = [f"--beside={root}/workflow/protocols/{name}.yaml" for name in BESIDE]
    claims = f"{root}/workflow/claims.yaml"
    return ["--docs", root / "docs", "--base", root / "config.yaml", "--claims", claims, *beside]


def test_it_lists_what_text_notebooks_and_protocols_do_otherwise(gaps, protocols):
    found = deviations(gaps, protocols)
    otherwise = [one for one in found if one.entry.differ or len(set(one.values.values())) > 1]
    assert len(otherwise) >= 15
    (temperature,) = [one for one in found if one.entry.key == ["methods.kd.temperature"]]
    assert temperature.values == {"paper": "4", "as_run": "3", "controlled": "4"}
    assert (temperature.entry.differ, temperature.effects) == (True, [])


def test_a_point_on_which_all_agree_and_that_has_no_effect_is_left_out(gaps, protocols):
    keys = {tuple(one.entry.key) for one in deviations(gaps, protocols)}
    assert ("defaults.momentum", "defaults.nesterov", "defaults.weight_decay") not in keys
    assert ("data.mean", "data.std") in keys  # controlled has others


def test_the_values_are_those_of_the_configuration_in_force(root, tmp_path, gaps, protocols):
    (tmp_path / "my.yaml").write_text("protocol: mine\nmethods: {kd: {temperature: 7}}\n")
    own = load_config([root / "config.yaml", tmp_path / "my.yaml"])
    found = deviations(gaps, named(own, list(protocols.values())))
    (temperature,) = [one for one in found if one.entry.key == ["methods.kd.temperature"]]
    assert temperature.values == {"paper": "4", "as_run": "3", "controlled": "4", "mine": "7"}


def test_a_method_that_a_protocol_does_not_train_has_no_value_there(gaps, protocols):
    (stem,) = [one for one in deviations(gaps, protocols) if "methods.kd.replaced_stem" in one.entry.key]
    assert stem.values == {
        "paper": "kd: false",
        "as_run": "kd: true",
        "controlled": "kd: false; kd_replaced_stem: true",
    }


def effects(gaps):
    return [effect for topic in gaps.topics for entry in topic.entries for effect in entry.effects]


def test_every_effect_is_isolated_by_the_settings_of_the_protocols_that_run_it(gaps, configs):
    for effect in effects(gaps):
        ran = [config for config in configs.values() if {effect.arm, effect.against} <= set(config.rows)]
        assert ran, effect
        for config in (
            config for config in ran if config.protocol != "as_run"
        ):  # which has several at once, and says so
            ours, theirs = (run_settings(config, name) for name in (effect.arm, effect.against))
            assert set(factors(ours, theirs)) == set(effect.factors), (config.protocol, effect)


# Effects


def measured(**settings):
    """The words of kd - control for arms of these settings."""
    arms = {
        name: arm(name, [count, count + 2], settings=settings[name]) for name, count in (("kd", 80), ("control", 100))
    }
    return Measured(arms, RULES).words(Effect(arm="kd", against="control", factors=["temperature"]))


def test_an_effect_is_a_difference_with_its_intervals():
    words = measured(kd={"temperature": 3}, control={"temperature": 4})
    assert words.startswith("`kd` − `control` (temperature): +1.00 points, images ")
    assert words.endswith("(n = 2 and 2)")
    assert "seeds " in words


def test_arms_that_differ_in_more_show_no_effect_and_say_in_what():
    words = measured(kd={"temperature": 3, "epochs": 200}, control={"temperature": 4, "epochs": 100})
    assert words == "`kd` − `control` (temperature): not isolated, they differ in epochs, temperature"
    assert "points" not in measured(kd={"temperature": 4}, control={"temperature": 4})


def test_an_arm_that_is_not_there_was_not_run():
    effect = Effect(arm="kd", against="sd_four", factors=["x"])
    assert Measured({"kd": arm("kd", [1, 2])}, RULES).words(effect) == "`kd` − `sd_four` (x): not run (`sd_four`)"


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """The files of the committed reduced comparison."""
    output = tmp_path_factory.mktemp("deviations")
    files = [root / "config.yaml", root / "workflow/protocols/quick_arms.yaml"]
    run(*files, *options(root), "--logs", root / "report/quick_arms", "--output", output)
    return output


def test_the_reduced_comparison_measures_what_its_arms_isolate(made):
    rows = list(csv.DictReader((made / "deviations.csv").read_text().splitlines()))
    cells = " ".join(row["effect"] for row in rows)
    for start in (
        "control_imagenet_stem − control (stem): -17.03 points",
        "kd_replaced_stem − kd (replaced_stem): +6.01 points",
        "deep_supervision − control (objective): -0.68 points",
        "self_distillation − deep_supervision (objective): -6.27 points",
        "control_notebook − control (augmentation): not run (control_notebook)",
    ):
        assert start in cells
    assert {"paper", "as_run", "controlled", "quick_arms"} <= rows[0].keys()
    text = " ".join((made / "deviations.md").read_text().split())
    assert "This protocol is reduced (10,000 training images" in text


def test_every_form_has_every_row(made):
    count = len(list(csv.DictReader((made / "deviations.csv").read_text().splitlines())))
    assert count > 20
    assert re.findall(r"^\| (\d+) \|", (made / "deviations.md").read_text(), re.M) == [str(n + 1) for n in range(count)]
    assert len(re.findall(r"^\\raggedright \d+ &", (made / "deviations.tex").read_text(), re.M)) == count


@needs("pdflatex")
def test_latex_takes_it(made, tmp_path):
    shutil.copy(made / "deviations.tex", tmp_path)
    document = r"\documentclass{IEEEtran}\usepackage{booktabs}\begin{document}x\input{deviations}\end{document}"
    (tmp_path / "all.tex").write_text(document)
    command = [shutil.which("pdflatex"), "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Float too large" not in done.stdout
