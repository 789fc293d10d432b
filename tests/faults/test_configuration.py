"""Configuration: every key refuses what is no value of its kind, in one line that names it, at once; nothing is made.

Each kind of value is tried with all its bad values at one key, and every other key of that kind with four of them.
"""

import copy
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers.snakemake_runs import Workflow

from selfdistill.config import methods, schema
from selfdistill.config.load import load_config, validate
from selfdistill.config.objectives import objectives
from selfdistill.config.reading import merge, over_library, read_yaml
from selfdistill.system.failures import Failure, Failures

ROOT = Path(__file__).parents[2]
BASE = read_yaml(ROOT / "config.yaml")

# What is no value of a kind. `1e-1x` is what a slip makes of a number, `010` and `1:30` are YAML's surprises.
SHAPES = [[], {}, {"a": 1}]
NUMBERS = ["", "many", "1e-1x", "010", "1_0", "1:30", "0x10", True, *SHAPES, math.nan, math.inf, -math.inf, 10**400]
WHOLE = [*NUMBERS, 1.5, -1, "1.5", "-1"]
TEXTS = ["", 3, 1.5, True, *SHAPES, "two\nlines", "a\x00b", "a\u2028b", "a\x85b", "a\x7fb", "a\u202eb", "x" * 2001]
KINDS: dict[str, list[Any]] = {
    "name": ["", 3, True, *SHAPES, "../x", "a/b", "A", "with blank", "$(x)", "x" * 42, "-x", "data", "a\n"],
    "text": TEXTS,
    "label": [*TEXTS, "a}b", "a b"],
    "count": [*WHOLE, 0, "0", 10**10],
    "amount": [*WHOLE, 10**10],
    "sweeps": ["", 3, True, {}, [], [3], ["s1"], ["S99"], ["S1", "S1"], "S1;rm", "S99"],
    "width": [*WHOLE, 0, 1025],
    "severities": ["", 3, True, {}, [], [0], [6], ["x"], [1, 1]],
    "classifiers": [*WHOLE, 2, 5],
    "oddities": ["", 3, True, {}, [3], ["stem"], ["best_on_test", "best_on_test"]],
    "decimals": [*WHOLE, 5],
    "fraction": [*NUMBERS, -0.1, 1.1, "2"],
    "below one": [*NUMBERS, -0.1, 1, 1.0],
    "at least 0": [*NUMBERS, -0.1, "-1"],
    "above 0": [*NUMBERS, -0.1, 0],
    "rate": [*NUMBERS, -0.1, 0, 1001],
    "temperature": [*NUMBERS, -4, 0, 1e-4, 1e4],
    "percent": [*NUMBERS, -1, 101],
    "inches": [*NUMBERS, -1, 0, 0.5, 50],
    "switch": ["", "yes", "ja", 1, 0, *SHAPES],
    "seeds": ["", "a", "a,b", [], {}, {"a": 1}, [0, 0], [-1], [1.5], [True], ["a"], [None], -1, 1.5, True, [2**64]],
    "names": ["", 3, True, {}, {"a": 1}, [], [3], [None], ["../x"], ["nobody"], ["kd", "kd"]],
    "augmentation": ["", 3, True, {}, [3], ["mirror"], ["crop", "crop"]],
    "archives": ["", 3, True, {}, {"a": 1}, [], [3], [{}], [{"sha256": "0" * 64}], [{"url": "https://a/b"}]],
    "url": ["", 3, *SHAPES, "ftp://a/b", "file:///x", "https://", "https://me:secret@a/b", "a b", "https://a\n"],
    "sha256": ["", 3, True, *SHAPES, "0" * 63, "A" * 64, "g" * 64],
    "device": ["", 3, True, *SHAPES, "gpu", "cuda:x", "cuda:-1", "CUDA", "cpu;rm"],
    "workers": ["", "all", -1, 1.5, True, *SHAPES, math.nan, 10**6],
    "threads": ["", "all", 0, -1, 1.5, True, *SHAPES, math.nan, 10**6],
    "teacher seed": [
        *("", "none", "mod 0", "mod x", -1, 1.5, True, *SHAPES, math.nan, 2**64),
        *([1, 1], [-1, 2], [1, 1.5], [1, None], ["same", 1], [[1], [2]], [True, 2], [2**64, 1]),
    ],
    "three numbers": ["", 3, {}, [], [1, 2], [1, 2, 3, 4], [1, 2, "x"], [1, 2, math.nan], [1, 2, True]],
    "three above 0": ["", 3, {}, [], [1, 2], [1, 2, 0], [1, 2, -1], [1, 2, math.inf]],
    "duration": ["", 3, 1.5, True, *SHAPES, "1:30", "2 hours", "1h 60m 0s"],
    "word": ["", 3, True, *SHAPES, "nobody", "Cosine"],
    "choice": ["", 3, 1, 0, *SHAPES, "nobody", "On", "yes"],  # true and false are YAML's on and off
    "block": ["", 3, True, [], [1]],
}
BLOCKS = {
    **{"": schema.Config, "data": schema.Data, "checkpoint": schema.Checkpoint, "table": schema.Table},
    **{"figures": schema.Figures, "mechanisms": schema.Mechanisms},
    **{"data.archives.0": schema.Archive, "methods.kd.published": methods.Published},
}
NULL = {"sweep", "reduced", "data.train_images", "data.mean", "data.std", "data.archives.0.url", "data.archives.0.path"}
NULL |= {"data.archives.0.size"}
NULL |= {f"mechanisms.{key}" for key in ("test_images", "corruption_images")}
KEYS = {  # every key of the configuration by its kind; a key that is not here fails the suite
    **{"name": "protocol", "label": "table.label", "seeds": "seeds", "names": "rows", "device": "device"},
    **{"threads": "threads", "workers": "workers", "word": "kind resume_policy sweep_size data.dataset"},
    **{"choice": "compile capture", "amount": "data.holdout_images", "oddities": "oddities", "sweeps": "sweep"},
    **{"three numbers": "data.mean", "three above 0": "data.std", "archives": "data.archives"},
    **{"fraction": "checkpoint.overhead", "decimals": "table.decimals"},
    **{"inches": "figures.width", "severities": "mechanisms.corruption_severities", "url": "data.archives.0.url"},
    **{"percent": "methods.kd.published.accuracy", "duration": "methods.kd.published.time"},
    "text": "reduced logs table.caption data.archives.0.path",
    "block": "data checkpoint table figures mechanisms methods defaults sweeps ablations",
    "switch": "deterministic allow_missing same_augmentation explanations table.show_best",
    "count": "evaluate_every data.train_images mechanisms.train_images mechanisms.test_images"
    " mechanisms.noise_draws mechanisms.hessian_images mechanisms.lanczos_steps mechanisms.trace_probes"
    " mechanisms.corruption_images data.archives.0.size",
    "at least 0": "sweep_noise checkpoint.grace",
    "sha256": "data.archives.0.sha256",
}
METHOD = {  # the same of a method's block
    **{
        "text": "label",
        "block": "published",
        "percent": "author_log",
        "seeds": "seeds",
        "width": "width",
        "count": "epochs batch_size",
    },
    **{"rate": "learning_rate", "below one": "momentum", "augmentation": "augmentation", "name": "teacher"},
    **{"teacher seed": "teacher_seed", "temperature": "temperature", "fraction": "label_noise alpha"},
    **{"above 0": "loss_scale", "classifiers": "classifiers"},
    "word": "role model stem objective schedule precision heads final_head kept_epoch",
    "switch": "zero_init_residual nesterov t_squared replaced_stem detach",
    "at least 0": "weight_decay feature_weight cross_entropy_weight distillation_weight",
}
METHOD_NULL = {"published", "author_log", "seeds", "alpha", *methods.PAIR}


def nested(path: str, value: Any) -> dict:
    """The values of a file that has this value at a dotted key, with what it takes beside it."""
    if path.startswith("data.archives.0."):
        key = path.rpartition(".")[2]
        return {
            "data": {"archives": [({} if key == "url" else {"path": "a.tar"}) | {"sha256": "0" * 64} | {key: value}]}
        }
    *parents, last = path.split(".")
    values: dict[str, Any] = {last: value}
    if last in methods.PAIR and parents[:1] == ["methods"] and "alpha" in BASE["methods"][parents[1]]:
        values = {"alpha": None, **dict.fromkeys(methods.PAIR, 1)} | values
    for part in reversed(parents):
        values = {part: values}
    return values


def places() -> list[tuple[str, str, bool]]:
    """Every key with its kind, and whether it may be null."""
    found = [(key, kind, key in NULL) for kind, keys in KEYS.items() for key in keys.split()]
    for kind, keys in METHOD.items():
        for key in keys.split():
            for name, block in BASE["methods"].items():
                if key in methods.method_model(block["objective"]).model_fields:
                    found.append((f"methods.{name}.{key}", kind, key in METHOD_NULL))
            if key in BASE["defaults"]:
                found.append((f"defaults.{key}", kind, False))
    return found


def cases() -> list[tuple[str, Any]]:
    """Every key with bad values: all of its kind where the kind comes first, else four."""
    found, seen = [], set()
    for count, (key, kind, null) in enumerate(places()):
        bad, some = KINDS[kind], [count, count + 3, count + 7, count + 11]
        values = bad if kind not in seen else [bad[index] for index in dict.fromkeys(n % len(bad) for n in some)]
        found += [(key, value) for value in [*values, *([] if null else [None])]]
        seen.add(kind)
    return found


def test_every_key_is_classified():
    classified = {key for keys in KEYS.values() for key in keys.split()}
    for block, model in BLOCKS.items():
        own = {key.rpartition(".")[2] for key in classified if key.rpartition(".")[0] == block}
        assert own == model.model_fields.keys() | ({"defaults"} if not block else set()), block
    own = {key for keys in METHOD.values() for key in keys.split()}
    assert own == {key for name in objectives() for key in methods.method_model(name).model_fields}
    assert KINDS.keys() == KEYS.keys() | METHOD.keys()
    assert classified >= NULL


def refusal(read, values: Any) -> list[str]:
    """The lines of a refusal with 78."""
    try:
        read(values)
    except (Failure, Failures) as failure:
        return str(failure).splitlines() if failure.code == 78 else []
    return []


def test_every_bad_value_is_refused_by_its_key(figure):
    wrong, made = [], cases()
    for key, value in made:
        lines = refusal(validate, merge(BASE, nested(key, value)))
        named = all(line.startswith(f"error: {key}") for line in lines)
        one = len(lines) == 1 or (value == [] and len(lines) == 3)  # each of the three numbers is missing
        if not one or not named:
            wrong.append(f"{key}: {str(value)[:60]!r}: {lines[:3]}")
    figure("bad values", f"{len(made) - len(wrong)}/{len(made)} refused with 78 and their key")
    assert len(made) >= 1000
    assert "\n".join(wrong) == ""


def required() -> list[str]:
    """Every key of config.yaml without which it is incomplete."""
    own = ("label", "model", "stem", "objective", "epochs", "batch_size", "teacher", "temperature", "heads")
    return [
        *(key for key, field in schema.Config.model_fields.items() if field.is_required()),
        *("data.dataset", "data.archives", "table.caption", "table.label", "checkpoint.overhead", "checkpoint.grace"),
        *(f"methods.{name}.{key}" for name, block in BASE["methods"].items() for key in own if key in block),
    ]


def without(key: str) -> dict:
    values = block = copy.deepcopy(BASE)
    *parents, last = key.split(".")
    for parent in parents:
        block = block[parent]
    del block[last]
    return values


def test_unknown_and_missing_keys_are_named(tmp_path, figure):
    wrong, path = [], tmp_path / "mine.yaml"
    blocks = ["", *(name for name in BLOCKS if name and "." not in name), "defaults"]
    blocks += [f"methods.{name}" for name in over_library(BASE)["methods"]]
    unknown = [f"{block}.{key}".strip(".") for block in blocks for key in ("nonsense", "epoch", "Seeds")]
    for key in unknown:
        lines = refusal(validate, merge(BASE, nested(key, 1)))
        if len(lines) != 1 or "unknown key" not in lines[0]:
            wrong.append(f"{key!r}: {lines}")
    for key in required():
        path.write_text(json.dumps(without(key)))
        lines = refusal(load_config, [path])
        if not any(line.startswith(f"error: {key}: ") and "missing" in line for line in lines):
            wrong.append(f"without {key}: {lines}")
    total = len(unknown) + len(required())
    figure("unknown and missing keys", f"{total - len(wrong)}/{total} named")
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
    figure(
        "bad values as commands", f"{len(sample)}/{len(sample)} refused in one line, {spent / len(sample):.2f} s each"
    )
    assert spent < len(sample)  # a second of a processor each, however busy the machine is


def test_the_workflow_refuses_the_same(tmp_path):
    """Snakemake's own reading would drop a key given twice, and take 010 for 8 in a file and for 10 by --config."""
    workflow = Workflow.make(tmp_path / "w")
    cases = [
        ("seeds: [0]\nseeds: [1]", [], [f"{workflow.folder}/bad.yaml: line 2: key 'seeds' is given twice"]),
        (
            "methods: {kd: {epochs: 010}}",
            ["--config", "seeds=010", "temperature=8"],
            [
                "temperature: unknown key (did you mean methods.<name>.temperature?",
                "methods.kd.epochs: expected a whole number from 1 to 1000000000, got '010'",
                "seeds: expected a list of different whole numbers from 0 to ",
            ],
        ),
    ]
    for values, typed, expected in cases:
        workflow.write("bad.yaml", values)
        command = [*workflow.command("-n", files=("bad.yaml",)), *typed]
        done = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
        lines = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert (done.returncode, len(lines)) == (78, len(expected)), done.stderr
        assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True)), lines
        assert "Traceback" not in done.stderr
    assert not (workflow.folder / "results").exists()
