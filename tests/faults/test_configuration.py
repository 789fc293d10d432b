"""Configuration: every key refuses what is no value of its kind, in one line that names it, at once; nothing is made.

What each kind of value takes: tests/config/test_types.py. Which kind a key has: workflow/schemas/config.schema.json,
which tests/config/test_schema.py holds against the code. Missing keys: tests/config/test_load.py.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from helpers.snakemake_runs import Workflow

from selfdistill.config import methods, schema
from selfdistill.config.block import Block
from selfdistill.config.load import validate
from selfdistill.config.reading import merge, read_yaml
from selfdistill.system.failures import Failure, Failures

ROOT = Path(__file__).parents[2]
BASE = read_yaml(ROOT / "config.yaml")
BAD = ["", "two\nlines", -1, math.nan, [[]], {"a": 1}]  # what no key takes
BAD_OF = {bool: ["yes", 1], int: ["010", True], float: ["1_0", True, 10**400]}  # what pydantic alone would take
URLS = ["file:///etc/passwd", "ftp://host/x", "javascript:alert(1)", "data:,x", "https:///x", "https://host/a b", "--x"]
URLS += ["https://host/x\r\nHost: evil", "https://me:secret@host/x", "https://host@evil/x"]
URLS += ["https://host:x/x", "https://ｈost/x", "https://host/$(touch${IFS}canary)`x`"]
BAD_NAMES = ["../x", "a/b", "/etc", ".", "..", "$(touch canary)", "`touch canary`", "a;touch canary", "a b", "a\nb"]
BAD_NAMES += ["\\input{x}", "é", "-rf", "x" * 50, "A", "logs", "data", "{seed}", "*", "~", "%s", "a'b", 'a"b']
MORE = {  # what these keys do not take either
    **dict.fromkeys(("protocol", "methods.kd.teacher"), BAD_NAMES),
    "methods": [{name: {"like": "control", "label": "X"}} for name in BAD_NAMES if name.isprintable()],
    "data.archives.0.url": URLS,
    "table.caption": ["a\x00b", "a\u2028b", "a\x85b", "a\x7fb", "a\u202eb", "x" * 2001],
    "methods.kd.epochs": [10**400, math.inf],
    "data.archives.0.sha256": ["A" * 64, "a" * 63],
    "table.label": ["a b", "x" * 81],
    "threads": [0, "all"],
    "device": ["cuda:100", "gpu", "cuda:"],
    "workers": [257, "all"],
    "methods.kd.teacher_seed": ["mod 0", [1, 1], [-1, 2], [1, 1.5], [1, None], ["same", 1], [True, 2], [2**64, 1]],
    "methods.kd.published.time": ["2 hours", "1h 60m 0s"],
    "methods.kd.augmentation": [["mirror"], ["crop", "crop"]],
    "oddities": [["stem"], ["best_on_test", "best_on_test"]],
    "mechanisms.corruption_severities": [[], [0], [6], [1, 1]],
    "rows": [[], [3], ["nobody"], *([name] for name in BAD_NAMES)],
    "sweep": [[3], ["S1"], ["nothing"], ["kd", "kd"], "kd;rm"],
    "data.mean": [[1, 2], [1, 2, 3, 4], [1, 2, "x"], [1, 2, math.nan], [1, 2, True]],
    "data.std": [[1, 2, 0], [1, 2, math.inf]],
    "data.archives": [[3], [{}], [{"sha256": "0" * 64}], [{"url": "https://a/b"}]],
}


def fields(model: type[Block], above: str = "") -> dict[str, tuple]:
    """Every key of a block and of the blocks in it, and the types of its values."""
    found = {}
    for name, field in model.model_fields.items():
        kinds = get_args(field.annotation) or (field.annotation,)
        found[above + name] = kinds
        for kind in kinds if get_origin(field.annotation) is not dict else ():
            if isinstance(kind, type) and issubclass(kind, Block):
                item = "0." if get_origin(field.annotation) is list else ""
                found |= fields(kind, f"{above}{name}.{item}")
    return found


KEYS = fields(schema.Config) | {f"defaults.{key}": (type(value),) for key, value in BASE["defaults"].items()}
for _name, _block in BASE["methods"].items():
    KEYS |= fields(methods.method_model(_block["objective"]), f"methods.{_name}.")


def nested(path: str, value: Any) -> dict:
    """The values of a file that has this value at a dotted key, with what it takes beside it."""
    *parents, last = path.split(".")
    values: dict[str, Any] = {last: value}
    if path.startswith("data.archives.0."):
        return {"data": {"archives": [({} if last == "url" else {"path": "a.tar"}) | {"sha256": "0" * 64} | values]}}
    if parents[-1:] == ["published"]:
        values = {"accuracy": 90, "time": "1h 0m 0s"} | values
    if last in methods.PAIR and parents[:1] == ["methods"]:
        values = {"alpha": None, **dict.fromkeys(methods.PAIR, 1)} | values
    for part in reversed(parents):
        values = {part: values}
    return values


def cases() -> list[tuple[str, Any]]:
    """Every key with bad values, and an unknown key in every block."""
    bad = {key: [*BAD, *MORE.get(key, [])] for key in KEYS}
    for key, kinds in KEYS.items():
        bad[key] += [value for kind in kinds for value in BAD_OF.get(kind, [])]
        bad[key] += [] if type(None) in kinds else [None]
    found = [(key, value) for key, values in bad.items() for value in values]
    return found + [(f"{block}nonsense", 1) for block in dict.fromkeys(key[: key.rfind(".") + 1] for key in KEYS)]


def refusal(values: dict) -> list[str]:
    """The lines of a refusal with 78."""
    try:
        validate(values)
    except (Failure, Failures) as failure:
        return str(failure).splitlines() if failure.code == 78 else []
    return []


def test_every_bad_value_is_refused_by_its_key(figure):
    wrong, made = [], cases()
    for key, value in made:
        lines = refusal(merge(BASE, nested(key, value)))
        named = {line.split(": ")[1] for line in lines if line.startswith(f"error: {key}")}
        if not lines or len(named) < len(lines) or "secret" in str(lines):  # a line for each part that is wrong
            wrong.append(f"{key}: {str(value)[:60]!r}: {lines[:3]}")
    figure("bad values", f"{len(made) - len(wrong)}/{len(made)} refused with 78 and their key")
    assert MORE.keys() <= KEYS.keys()
    assert len(made) >= 1000
    assert "\n".join(wrong) == ""


def test_the_command_is_quick_and_makes_nothing(tmp_path, figure):
    """A sample of the cases as a user has them."""
    sample = [(key, value) for key, value in cases() if value == value][7 :: len(cases()) // 5][:5]
    before = os.times()
    for key, value in sample:
        (tmp_path / "mine.yaml").write_text(json.dumps(nested(key, value)))
        command = [sys.executable, "-m", "selfdistill", "check", str(ROOT / "config.yaml"), "mine.yaml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1), key
        assert done.stderr.startswith("error: "), key
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    figure("bad values as commands", f"{len(sample)} refused in one line, {spent / len(sample):.2f} s each")
    assert spent < len(sample)  # a second of a processor each, however busy the machine is


def test_the_workflow_refuses_the_same_and_makes_nothing(tmp_path):
    """Snakemake's own reading would drop a key given twice, and take 010 for 8 in a file and for 10 by --config."""
    workflow = Workflow.make(tmp_path / "w")
    odd = [
        "temperature: unknown key (did you mean methods.<name>.temperature?",
        "methods.kd.epochs: expected a whole number from 1 to 1000000000, got '010'",
        "seeds: expected a list of different whole numbers from 0 to ",
    ]
    for values, typed, expected in [
        ("seeds: [0]\nseeds: [1]", [], [f"{workflow.folder}/bad.yaml: line 2: key 'seeds' is given twice"]),
        ("methods: {kd: {epochs: 010}}", ["--config", "seeds=010", "temperature=8"], odd),
    ]:
        workflow.write("bad.yaml", values)
        done = workflow.process([*workflow.command(files=("bad.yaml",)), *typed])
        lines = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert (done.returncode, len(lines)) == (78, len(expected)), done.stderr
        assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True)), lines
        assert "Traceback" not in done.stderr
    assert not (workflow.folder / "results").exists()
