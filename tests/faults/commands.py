"""The commands whose write paths are broken, each in a folder of its own, and what they must leave."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from helpers.servers import SHA256, SIZE
from helpers.trainer import machine_option, make_job
from safetensors.torch import load_file

from selfdistill.config.load import load_config
from selfdistill.config.report_settings import report_settings
from selfdistill.config.settings import to_yaml
from selfdistill.training.states import NAME, checkpoints

ROOT = Path(__file__).parents[2]
STORE = ".runs"
SMALL = {"width": 1, "stem": "imagenet"}  # a sixteenth of the CIFAR stem's work, with the same files
TINY = {"epochs": 3, "batch_size": 10, "network": SMALL, "data": {"train_images": 20}}
VOLATILE = ("attempts", "training_seconds", "content_sha256", "commit")  # of run.json: times, and this checkout


class Subject(NamedTuple):
    """A command: its arguments for a folder, and a digest of what it must leave there, by file and tensor."""

    name: str
    arguments: Callable[[Path], list]
    result: Callable[[Path], dict[str, str]]
    # What is wrong with the files that a kill left, before the rerun.
    torn: Callable[[Path, dict[str, str]], list[str]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file except hidden files and logs."""
    found = {path: path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".txt"}
    return {str(name): sha256(path.read_bytes()) for path, name in found.items() if not name.name.startswith(".")}


def torn_files(folder: Path, whole: dict[str, str]) -> list[str]:
    """Files under their final names with wrong content."""
    found = {} if not folder.exists() else files(folder)
    return [name for name, digest in found.items() if name in whole and digest != whole[name]]


def litter(folder: Path) -> list[str]:
    """Temporary files that a command has left."""
    return [str(path) for path in folder.rglob("*") if path.name.endswith((".tmp", ".part"))]


def trained(folder: Path) -> dict[str, str]:
    """A training run's outputs without times, the tensors of its newest state, and its live history."""
    found = {name: digest for name, digest in files(folder).items() if not name.endswith(("timing.csv", "run.json"))}
    found = {name: digest for name, digest in found.items() if not name.startswith(".state/")}
    for run in folder.glob("*/seed*/run.json"):
        facts = json.loads(run.read_text())
        outputs = facts["outputs"] | {"timing.csv": ""}
        found["run.json"] = json.dumps({k: v for k, v in facts.items() if k not in VOLATILE} | {"outputs": outputs})
        for name, digest in facts["outputs"].items():
            if sha256((run.parent / name).read_bytes()) != digest:
                found[f"{name} differs from run.json"] = digest
    for weights in folder.glob("*/seed*/*.safetensors"):
        found |= {f"{weights.stem}:{k}": sha256(t.numpy().tobytes()) for k, t in load_file(weights).items()}
    for state in (folder / ".state").glob("*-*/"):
        found["live history"] = sha256((state / "history.csv").read_bytes())
        tensors = load_file(checkpoints(state)[0])
        found |= {f"state:{k}": sha256(t.numpy().tobytes()) for k, t in tensors.items()}
    return found


def torn_run(folder: Path, whole: dict[str, str]) -> list[str]:
    """The inconsistent parts of a run: outputs, states without a valid checksum, a history ahead of its state."""
    wrong = [name for name in torn_files(folder, whole) if not name.startswith(".state/")]
    for state in (folder / ".state").glob("*-*/"):
        epochs = [0]
        for path in checkpoints(state):
            if sha256(path.read_bytes())[:16] != NAME.fullmatch(path.name)[2]:
                wrong.append(path.name)
            else:
                epochs.append(int(NAME.fullmatch(path.name)[1]))
        with contextlib.suppress(FileNotFoundError):
            wrong += torn_history((state / "history.csv").read_text(), max(epochs))
    return wrong


def torn_history(text: str, epochs: int) -> list[str]:
    """What is wrong with a live history.csv beside a state of so many epochs."""
    lines = text.split("\n")
    rows = [line.split(",") for line in lines[:-1]]
    whole = lines[-1] == "" and rows and all(len(row) == len(rows[0]) for row in rows)
    if not whole or [row[0] for row in rows[1:]] != [str(k) for k in range(1, len(rows))]:
        return [f"torn history {text[-60:]!r}"]
    return [f"history of {len(rows) - 1} epochs ahead of the state's {epochs}"] if len(rows) - 1 > epochs else []


def train(kind: str, data: Path, teacher: Path | None = None, /, **changes: Any) -> Callable[[Path], list]:
    """The arguments of a training run of a kind of helpers.trainer, for a folder."""

    def arguments(folder: Path, **machine: Any) -> list:
        taught = {"teacher": {"stem": "imagenet"}} if teacher else {}
        job = make_job(folder, data, kind, changes=TINY | taught | changes, teacher=teacher)
        words = ["train", "--data", data, "--settings", job.settings, "--seed", 0, "--output", job.output]
        words += ["--teacher", teacher] if teacher else []
        return [*words, *machine_option(**machine), "--log", job.log]

    return arguments


def kept(kind: str, data: Path, stored: Path | None = None, **changes: Any) -> Callable[[Path], list]:
    """The same with a store in the folder, at the start as it is in `stored`, another such folder."""
    plain = train(kind, data, **changes)

    def arguments(folder: Path) -> list:
        if stored:
            shutil.copytree(stored / STORE, folder / STORE)
        return [*plain(folder), "--store", folder / STORE]

    return arguments


def entries(folder: Path) -> list[Path]:
    """The entries of the store in a folder."""
    return [path for path in (folder / STORE).glob("*/") if not path.name.startswith(".")]


def kept_run(folder: Path) -> dict[str, str]:
    """What `trained` has, and how the store's files compare with the run's; times differ from run to run."""
    found = {name: digest for name, digest in trained(folder).items() if not name.startswith(f"{STORE}/")}
    for number, entry in enumerate(entries(folder)):
        for path in sorted(entry.iterdir()):
            (own,) = folder.glob(f"*/seed*/{path.name}")
            found[f"entry {number} {path.name}"] = "same" if path.read_bytes() == own.read_bytes() else "another"
    return found


def torn_entry(folder: Path, whole: dict[str, str]) -> list[str]:
    """What is torn in a run, and what its store has that is not whole."""
    wrong = torn_run(folder, whole)
    for entry in entries(folder):
        outputs = json.loads((entry / "run.json").read_text())["outputs"]
        wrong += [f"{entry.name}/{name}" for name in outputs if sha256((entry / name).read_bytes()) != outputs[name]]
    return wrong


def report(step: str, rows: list[str] | None = None) -> Callable[[Path], list]:
    """The arguments of a step of the report on the author's own logs."""
    config = load_config([ROOT / "config.yaml", ROOT / "workflow/protocols/published.yaml"])
    settings = report_settings(config, rows) | {"allow_missing": True}

    def arguments(folder: Path) -> list:
        path = folder.with_name(folder.name + ".yaml")
        path.write_text(to_yaml(settings))
        return [step, "--settings", path, "--logs", ROOT / "workflow/published", "--output", folder / "report"]

    return arguments


def subjects(data: Path, url: str, stored: Path) -> dict[str, Subject]:
    """Every write path by name. stored: a folder in which `kept` has been run, for `restored`."""
    archives = json.dumps([{"url": url, "sha256": SHA256, "size": SIZE}])
    prepare = ["prepare", "--dataset", "digits", "--archives", "[]", "--output"]
    whole = {"result": files, "torn": torn_files}
    run = {"result": trained, "torn": torn_run}
    found = [
        Subject("download", lambda folder: ["download", "--archives", archives, "--folder", folder / "a"], **whole),
        Subject("prepare", lambda folder: [*prepare, folder / "data" / "digits.safetensors"], **whole),
        Subject("control", train("control", data), **run),
        Subject("self_distillation", train("self_distillation", data, epochs=2), **run),
        Subject("kept", kept("control", data, epochs=2), kept_run, torn_entry),
        Subject("restored", kept("control", data, stored, epochs=2), kept_run, torn_entry),
        Subject("table", report("table"), **whole),
        Subject("figures", report("figures", rows=["control"]), **whole),
    ]
    return {subject.name: subject for subject in found}
