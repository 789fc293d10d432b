"""Train a block of runs within a time limit, and carry results and unfinished states from machine to machine.

It drives the same verbs with the same arguments as the rules of the workflow, so that the workflow takes what
comes back for its own.
"""

import argparse
import io
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from selfdistill.config.load import merge, read_yaml, validate
from selfdistill.config.schema import Config
from selfdistill.config.settings import run_options, run_settings
from selfdistill.failures import BAD_DATA, CONFIGURATION, STOPPED, Failure, Failures
from selfdistill.files import canonical_json, read_json, read_sealed, sha256_bytes, write_atomically, write_json
from selfdistill.training.packs import options_of, packs
from selfdistill.training.states import checkpoints
from selfdistill.training.status import Asked, status

BLOCKS = Path(__file__).with_name("gpu_blocks.yaml")
RESULTS = Path("results")
MARGIN = 20  # seconds: what a stopped run needs beyond its grace to save and end
# What may be carried: the files of runs, their settings, states and logs, and the prepared data.
NAME = r"[a-z0-9][a-z0-9_-]*"
CARRIED = re.compile(
    rf"data/{NAME}\.safetensors|{NAME}/({NAME}/settings\.yaml|{NAME}/seed\d+/[a-z_]+\.(csv|json|safetensors)"
    rf"|logs/{NAME}\.txt|\.state/{NAME}/(ckpt-[0-9a-f-]+\.safetensors|history\.csv|last_epoch))"
)


def block_config(name: str, files: list[Path]) -> Config:
    """The configuration of a block, with files of one's own on top.

    Raises: Failure 78 for a block that there is not.
    """
    blocks = read_yaml(BLOCKS)
    if name not in blocks:
        raise Failure("block", f"expected one of {', '.join(blocks)}, got {name!r}", code=CONFIGURATION)
    values = read_yaml("config.yaml")
    for path in [*blocks[name]["files"], *files]:
        values = merge(values, read_yaml(path))
    return validate(merge(values, blocks[name]["over"]))


def in_order(config: Config) -> list[tuple[str, list[int]]]:
    """The method and seeds of each training job, every teacher before its students."""
    together = {(method, seed): seeds for method, seeds in packs(config, RESULTS) for seed in seeds}
    ordered: list[tuple[str, list[int]]] = []

    def add(run: tuple[str, int]) -> None:
        job = (run[0], together.get(run, [run[1]]))
        for seed in job[1]:
            for teacher in config.teachers_of(run[0], seed):
                add(teacher)
        if job not in ordered:
            ordered.append(job)

    for run in config.runs():
        add(run)
    return ordered


def verb(*words: object) -> list[str]:
    """A command of the package in this interpreter."""
    return [sys.executable, "-m", "selfdistill", *map(str, words)]


def prepare(config: Config) -> Path:
    """The prepared data, made if it is not there."""
    path = RESULTS / "data" / f"{config.data.dataset}.safetensors"
    if not path.exists():
        archives = canonical_json([archive.model_dump(exclude_none=True) for archive in config.data.archives])
        words = ("prepare", "--dataset", config.data.dataset, "--archives", archives, "--output", path)
        subprocess.run(verb(*words), check=True)
    return path


def train_command(config: Config, method: str, seeds: list[int], data: Path) -> list[str]:
    """What the training rule would run for these runs."""
    folder = RESULTS / config.protocol
    words = ["train", "--data", data, "--settings", folder / method / "settings.yaml"]
    words += options_of(config, RESULTS, method, seeds)
    for name, value in run_options(config, method, seeds[0]).items():
        words += [f"--{name}", value]
    return verb(*words, "--progress", "lines")


def train_block(config: Config, minutes: float) -> int:
    """Train what is left within the time; 0 when nothing is, 75 when the time is over, else the run's exit status."""
    deadline = time.monotonic() + 60 * minutes
    data = prepare(config)
    for method, packed in in_order(config):
        asked = Asked(config, RESULTS)  # anew: a teacher may be new
        seeds = [seed for seed in packed if not asked.status(method, seed).done]
        if not seeds:
            continue
        left = deadline - time.monotonic() - config.checkpoint.grace - MARGIN
        if left <= 0:
            return STOPPED
        path = RESULTS / config.protocol / method / "settings.yaml"
        words = ("settings", "--block", canonical_json(run_settings(config, method)), "--output", path)
        subprocess.run(verb(*words), check=True, stderr=subprocess.DEVNULL)
        process = subprocess.Popen(train_command(config, method, seeds, data))
        try:
            code = process.wait(left)
        except subprocess.TimeoutExpired:
            process.terminate()
            code = process.wait()
        if code:
            return code
    return 0


def show(config: Config) -> None:
    """One screen: what has become of each run, and the accuracies that there are."""
    print("\n".join(status(config, RESULTS).lines()))
    for method, seed in ((method, seed) for method, seeds in in_order(config) for seed in seeds):
        folder = RESULTS / config.protocol / method / f"seed{seed}"
        if (folder / "run.json").exists() and (folder / "evaluation.json").exists():
            found, facts = read_sealed(folder / "evaluation.json"), read_sealed(folder / "run.json")
            epochs = facts["settings"]["epochs"]
            pace = facts["training_seconds"] / epochs
            print(
                f"{method} seed {seed}: {100 * found['accuracy']:.2f} %, {facts['training_seconds']:.0f} s,"
                f" {pace:.2f} s an epoch, {facts['environment']['device']}, {facts['environment']['precision']}"
            )


def carried(results: Path, logs: bool, only: str) -> list[Path]:
    """The files to carry: outputs of runs, of unfinished runs the newest state; teachers before their students."""
    found = []
    for path in sorted(results.rglob("*"), key=lambda path: (path.stat().st_mtime_ns, str(path))):
        name = path.relative_to(results).as_posix()
        if not path.is_file() or not CARRIED.fullmatch(name) or not re.search(only, name):
            continue
        if name.startswith("data/") or (logs and path.suffix == ".safetensors" and path.stem != "test_logits"):
            continue
        if path.name.startswith("ckpt-") and path != checkpoints(path.parent)[0]:
            continue
        found.append(path)
    return found


def pack(results: Path, output: Path, part_bytes: int, logs: bool, only: str) -> int:
    """Write the results as parts of bounded size and a manifest; the number of parts."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in carried(results, logs, only):
            archive.add(path, path.relative_to(results).as_posix())
    content, parts = buffer.getvalue(), {}
    for number, start in enumerate(range(0, len(content), part_bytes)):
        part = content[start : start + part_bytes]
        parts[f"part-{number:03d}.bin"] = sha256_bytes(part)
        write_atomically(output / f"part-{number:03d}.bin", part)
    write_json(output / "manifest.json", {"parts": parts, "sha256": sha256_bytes(content)})
    return len(parts)


def unpack(source: Path, results: Path) -> int:
    """Put the results in parts where the workflow looks for them; the number of files.

    Raises: Failure 65 when a part is missing or damaged, or names a file that is none of a run's.
    """
    parts = read_json(source / "manifest.json")["parts"]
    content = b""
    for name, expected in sorted(parts.items()):
        part = (source / Path(name).name).read_bytes() if (source / Path(name).name).is_file() else b""
        if sha256_bytes(part) != expected:
            raise Failure(source / Path(name).name, "is missing or damaged (SHA-256 of the manifest)", "fetch it again")
        content += part
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = archive.getmembers()
        for member in members:
            if not member.isreg() or not CARRIED.fullmatch(member.name):
                raise Failure(source, f"{member.name!r} is no file of a run", code=BAD_DATA)
        for member in members:  # in the order of their making, so that an output is newer than its inputs
            write_atomically(results / member.name, archive.extractfile(member).read())
    return len(members)


def main() -> int:
    """Run a block, or pack or unpack; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("block", help="a block of gpu_blocks.yaml, or pack, or unpack, or show")
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit of a block")
    parser.add_argument("--config", type=Path, nargs="*", default=[], help="files of one's own, laid on top")
    parser.add_argument("--of", default="A", help="show: the block")
    parser.add_argument("--input", type=Path, help="unpack: the folder with the parts")
    parser.add_argument("--output", type=Path, help="pack: the folder for the parts")
    parser.add_argument("--part-mb", type=float, default=15.0)
    parser.add_argument("--logs", action="store_true", help="pack: no weights and no states")
    parser.add_argument("--only", default="", help="pack: only files whose name matches this")
    options = parser.parse_args()
    if options.block == "pack":
        size = int(options.part_mb * 1e6)
        print(f"{pack(RESULTS, options.output, size, options.logs, options.only)} parts in {options.output}")
        return 0
    if options.block == "unpack":
        print(f"{unpack(options.input, RESULTS)} files in {RESULTS}")
        return 0
    config = block_config(options.of if options.block == "show" else options.block, options.config)
    code = 0 if options.block == "show" else train_block(config, options.minutes)
    show(config)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, Failures) as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
