"""Configuration: every key times every kind of bad value is refused in one line, at once, and nothing is made."""

import copy
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.snakemake_runs import Workflow

from selfdistill.config import load, schema
from selfdistill.config.load import load_config
from selfdistill.system.failures import Failure, Failures

ROOT = Path(__file__).parents[2]
BASE = yaml.safe_load((ROOT / "config.yaml").read_text())
NESTED = ("data", "checkpoint", "table", "figures", "mechanisms")
HUGE = 10**400

# What is no value of a kind. `1e-1x` is what a slip makes of a number, `010` and `1:30` are YAML's surprises.
SHAPES = [[], {}, {"a": 1}]
NUMBERS = ["", "many", "1e-1x", True, *SHAPES, math.nan, math.inf, -math.inf, HUGE]
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
    "probes": [*WHOLE, 1, 10**5],
    "severities": ["", 3, True, {}, [], [0], [6], ["x"], [1, 1]],
    "classifiers": [*WHOLE, 2, 5],
    "oddities": ["", 3, True, {}, [3], ["stem"], ["best_on_test", "best_on_test"]],
    "decimals": [*WHOLE, 5],
    "share": [*NUMBERS, -0.1, 0, 1.1, "2"],
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
    "figures": ["", 3, {}, [], [3], ["pie"], ["loss", "loss"]],
    "augmentation": ["", 3, True, {}, [3], ["mirror"], ["crop", "crop"]],
    "archives": ["", 3, True, {}, {"a": 1}, [], [3], [{}], [{"sha256": "0" * 64}], [{"url": "https://a/b"}]],
    "url": [
        "",
        3,
        *SHAPES,
        "ftp://a/b",
        "file:///etc/passwd",
        "https://",
        "https://me:secret@a/b",
        "a b",
        "https://a\n",
    ],
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
NULL = {"sweep", "reduced", "data.train_images", "published", "seeds of a method", "alpha", "url", "path", "size"}
NULL |= {f"mechanisms.{key}" for key in ("test_images", "corruption_images", "official_corruptions", "cifar10_1")}
CLASSIFIED = {  # every key of the configuration and its kind; a key that is not here fails the suite
    **{"protocol": "name", "reduced": "text", "seeds": "seeds", "rows": "names", "data": "block", "device": "device"},
    **{
        "threads": "threads",
        "workers": "workers",
        "deterministic": "switch",
        "resume_policy": "word",
        "compile": "choice",
        "capture": "choice",
        "checkpoint": "block",
    },
    **{"evaluate_every": "count", "logs": "text", "allow_missing": "switch", "table": "block", "figures": "block"},
    **{"methods": "block", "defaults": "block", "oddities": "oddities", "same_augmentation": "switch"},
    **{"sweep": "sweeps", "sweep_size": "word", "sweep_noise": "at least 0", "sweeps": "block"},
    **{
        "data.dataset": "word",
        "data.train_images": "count",
        "data.holdout_images": "amount",
        "data.mean": "three numbers",
    },
    **{"data.std": "three above 0", "data.archives": "archives"},
    **{"checkpoint.overhead": "fraction", "checkpoint.grace": "at least 0"},
    **{"table.caption": "text", "table.label": "label", "table.decimals": "decimals", "table.show_best": "switch"},
    **{"figures.names": "figures", "figures.width": "inches", "mechanisms": "block"},
    **{f"mechanisms.{key}": "count" for key in ("train_images", "test_images", "noise_draws", "hessian_images")},
    **{"mechanisms.lanczos_steps": "count", "mechanisms.trace_probes": "probes"},
    **{"mechanisms.corruption_severities": "severities", "mechanisms.corruption_images": "count"},
    **{"mechanisms.official_corruptions": "text", "mechanisms.near_copy_distance": "at least 0"},
    **{"mechanisms.cifar10_1": "block"},
}
ARCHIVE = {"url": "url", "path": "text", "sha256": "sha256", "size": "count"}
METHOD = {
    **{"label": "text", "published": "block", "seeds": "seeds", "role": "word", "model": "word", "stem": "word"},
    **{"width": "width", "zero_init_residual": "switch", "objective": "word", "epochs": "count"},
    **{"batch_size": "count", "learning_rate": "rate", "schedule": "word", "momentum": "below one"},
    **{"nesterov": "switch", "weight_decay": "at least 0", "augmentation": "augmentation", "precision": "word"},
    **{
        "teacher": "name",
        "teacher_seed": "teacher seed",
        "heads": "word",
        "temperature": "temperature",
        "t_squared": "switch",
    },
    **{
        "final_head": "word",
        "kept_epoch": "word",
        "label_noise": "fraction",
        "train_fraction": "share",
        "replaced_stem": "switch",
    },
    **{"loss_scale": "above 0", "detach": "switch", "classifiers": "classifiers", "feature_weight": "at least 0"},
    **{"alpha": "fraction", "cross_entropy_weight": "at least 0", "distillation_weight": "at least 0"},
}
CIFAR101 = {"images": "text", "images_sha256": "sha256", "labels": "text", "labels_sha256": "sha256"}
PUBLISHED = {"accuracy": "percent", "time": "duration"}


def nested(path: str, value: Any) -> dict:
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def keys_of(model) -> set[str]:
    return set(model.model_fields)


def cases() -> list[tuple[str, Any, dict]]:
    """Every key with each of its bad values: the key that must be named, the value, and the file that has it."""
    found = []

    def add(key: str, kind: str, place=nested, null: bool = False) -> None:
        for value in KINDS[kind] + ([] if null else [None]):
            found.append((key, value, place(key, value)))

    for key, kind in CLASSIFIED.items():
        add(key, kind, null=key in NULL)
    for key, kind in METHOD.items():
        for name in ("kd", "self_distillation", "control"):
            if key in keys_of(schema.method_model(BASE["methods"][name]["objective"])) and key not in schema.PAIR:
                add(f"methods.{name}.{key}", kind, null=key in NULL | {"seeds", "alpha", "teacher_seed", "role"})
        if key in BASE["defaults"]:
            add(f"defaults.{key}", kind)
        if key in schema.PAIR:

            def pair(path: str, value: Any, key=key) -> dict:
                weights = {"alpha": None, "cross_entropy_weight": 1, "distillation_weight": 1} | {key: value}
                return {"methods": {"kd": weights}}

            add(f"methods.kd.{key}", kind, pair, null=True)
    for key, kind in PUBLISHED.items():
        add(f"methods.kd.published.{key}", kind)
    for key, kind in CIFAR101.items():

        def files(path: str, value: Any, key=key) -> dict:
            whole = {"images": "a.npy", "labels": "b.npy", "images_sha256": "0" * 64, "labels_sha256": "0" * 64}
            return {"mechanisms": {"cifar10_1": whole | {key: value}}}

        add(f"mechanisms.cifar10_1.{key}", kind, files)
    for key, kind in ARCHIVE.items():

        def place(path: str, value: Any, key=key) -> dict:
            archive = {"path": "a.tar"} if key != "url" else {}
            return {"data": {"archives": [archive | {"sha256": "0" * 64} | {key: value}]}}

        add(f"data.archives.0.{key}", kind, place, null=key in NULL)
    return found


def test_every_key_is_classified():
    assert keys_of(schema.Config) | {"defaults"} == {key for key in CLASSIFIED if "." not in key}
    blocks = {"data": schema.Data, "checkpoint": schema.Checkpoint, "table": schema.Table}
    for block, model in (blocks | {"mechanisms": schema.Mechanisms}).items():
        assert keys_of(model) == {key.split(".")[1] for key in CLASSIFIED if key.startswith(block + ".")}
    assert keys_of(schema.Figures) == {key.split(".")[1] for key in CLASSIFIED if key.startswith("figures.")}
    assert keys_of(schema.Archive) == ARCHIVE.keys()
    assert keys_of(schema.Published) == PUBLISHED.keys()
    assert keys_of(schema.CIFAR101) == CIFAR101.keys()
    assert {key for name in schema.objectives() for key in keys_of(schema.method_model(name))} == METHOD.keys()


def text_of(values: dict) -> str:
    """A configuration file, as JSON, which is YAML but for its numbers that are none."""
    return json.dumps(values).replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")


def refusal(paths: list[Path]) -> tuple[int, list[str], float]:
    """Exit status, lines and seconds of a configuration."""
    start = time.perf_counter()
    try:
        load_config(paths)
    except (Failure, Failures) as failure:
        return failure.code, str(failure).splitlines(), time.perf_counter() - start
    return 0, [], time.perf_counter() - start


@pytest.fixture
def parsed_once(monkeypatch):
    """config.yaml is parsed once for thousands of cases; it is half of their time."""
    parse, base = load.read_yaml, load.read_yaml(ROOT / "config.yaml")
    again = {ROOT / "config.yaml": base}
    monkeypatch.setattr(load, "read_yaml", lambda path: copy.deepcopy(again[path]) if path in again else parse(path))


@pytest.mark.usefixtures("parsed_once")
def test_every_bad_value_is_refused_by_its_key(tmp_path, figure):
    wrong, slowest, made = [], 0.0, cases()
    path = tmp_path / "mine.yaml"
    for key, value, values in made:
        path.write_text(text_of(values))
        code, lines, seconds = refusal([ROOT / "config.yaml", path])
        slowest = max(slowest, seconds)
        shown = f"{key}: {str(value)[:60]!r}"
        named = all(line.startswith((f"error: {key}", f"error: {path}: ")) for line in lines)
        one = len(lines) == 1 or (value == [] and len(lines) == 3)  # each of the three numbers is missing
        if code != 78 or not one or not named or seconds > 1:
            wrong.append(f"{shown}: {code} {lines[:3]}")
    figure("bad values", f"{len(made) - len(wrong)}/{len(made)} refused with 78 and their key, slowest {slowest:.2f} s")
    assert len(made) >= 240
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    assert "\n".join(wrong) == ""


def blocks() -> list[str]:
    """The dotted names of all blocks."""
    return ["", *NESTED, "defaults", *(f"methods.{name}" for name in BASE["methods"])]


def required() -> list[str]:
    """Every key of config.yaml without which it is incomplete."""
    top = [key for key in BASE if key != "defaults"]
    inner = [f"{block}.{key}" for block in NESTED for key in BASE[block]]
    own = ("label", "model", "stem", "objective", "epochs", "batch_size", "teacher", "temperature", "heads")
    whole = {m: block for m, block in BASE["methods"].items() if "like" not in block}
    methods = [f"methods.{m}.{key}" for m, block in whole.items() for key in own if key in block]
    return top + inner + methods


def without(key: str) -> dict:
    values = copy.deepcopy(BASE)
    *parents, last = key.split(".")
    block = values
    for parent in parents:
        block = block[parent]
    del block[last]
    return values


def test_unknown_and_missing_keys_are_named(tmp_path, figure):
    wrong, path = [], tmp_path / "mine.yaml"
    unknown = [f"{block}.{key}".strip(".") for block in blocks() for key in ("nonsense", "epoch", "Seeds")]
    for key in unknown:
        path.write_text(text_of(nested(key, 1)))
        code, lines, _ = refusal([ROOT / "config.yaml", path])
        if code != 78 or len(lines) != 1 or "unknown key" not in lines[0]:
            wrong.append(f"{key!r}: {code} {lines}")
    for key in required():
        path.write_text(text_of(without(key)))
        code, lines, _ = refusal([path])
        if code != 78 or not any(line.startswith(f"error: {key}: ") and "missing" in line for line in lines):
            wrong.append(f"without {key}: {code} {lines}")
    total = len(unknown) + len(required())
    figure("unknown and missing keys", f"{total - len(wrong)}/{total} named")
    assert "\n".join(wrong) == ""


FILES = {
    "a key twice": ("seeds: [0]\nseeds: [1]\n", "line 2: key 'seeds' is given twice (first in line 1)"),
    "a block twice": ("methods: {kd: {alpha: .1}, kd: {alpha: .2}}\n", "key 'kd' is given twice"),
    "a tab": ("data:\n\tdataset: cifar10\n", "line 2"),
    "empty": ("", "is empty"),
    "a comment alone": ("# nothing\n", "is empty"),
    "a list": ("- seeds\n", "expected keys and values, got list"),
    "a number": ("3\n", "expected keys and values, got int"),
    "broken": ("seeds: [0\n", "line 2"),
    "two documents": ("seeds: [0]\n---\nseeds: [1]\n", "line 2"),
    "an alias": ("a: &a [1]\nb: *a\n", "line 2: aliases are not allowed"),
    "a key that is no text": ("1: 2\n", "expected a text as key, got 1"),
    "a tag": ("seeds: !!python/name:os.system\n", "line 1"),
    "Latin-1": ("reduced: caf\xe9\n".encode("latin-1"), "expected UTF-8"),
    "NUL": (b"seeds: \x00\n", "special characters are not allowed"),
    "too large": ("#" * 70_000, "expected at most 65536 bytes, got 70000"),
}


def test_broken_files_are_named_with_their_line(tmp_path, figure):
    wrong, path = [], tmp_path / "mine.yaml"
    for name, (content, word) in FILES.items():
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        code, lines, _ = refusal([ROOT / "config.yaml", path])
        if code != 78 or len(lines) != 1 or not lines[0].startswith(f"error: {path}: ") or word not in lines[0]:
            wrong.append(f"{name}: {code} {lines}")
    figure("broken files", f"{len(FILES) - len(wrong)}/{len(FILES)} named")
    assert "\n".join(wrong) == ""


def test_the_command_is_quick_and_makes_nothing(tmp_path, figure):
    """A sample of the cases as a user has them."""
    sample, slowest = cases()[7 :: len(cases()) // 20][:20], 0.0
    subprocess.run([sys.executable, "-m", "selfdistill", "--help"], capture_output=True)  # fills the file cache
    for key, _, values in sample:
        (tmp_path / "mine.yaml").write_text(text_of(values))
        command = [sys.executable, "-m", "selfdistill", "check", str(ROOT / "config.yaml"), "mine.yaml"]
        start = time.monotonic()
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        slowest = max(slowest, time.monotonic() - start)
        assert done.returncode == 78, key
        assert done.stderr.startswith("error: "), key
        assert done.stderr.count("\n") == 1, key
        assert done.stdout == "", key
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    figure("bad values as commands", f"{len(sample)}/{len(sample)} refused in one line, slowest {slowest:.2f} s")
    assert slowest < 1.5  # the promise is one second; a busy machine gets a little more


@pytest.mark.parametrize("values", ["methods: {kd: {temperature: -4}}", "epoch: 3", "seeds: [0]\nseeds: [1]"])
def test_the_workflow_refuses_the_same(values, tmp_path):
    workflow = Workflow.make(tmp_path / "w")
    workflow.write("bad.yaml", values)
    command = workflow.command("-n", files=("bad.yaml",))
    done = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
    assert done.returncode == 78, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in done.stderr
    assert not (workflow.folder / "results").exists()
