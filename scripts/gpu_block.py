"""Train a block of runs within a time limit, and carry results and unfinished states from machine to machine.

It drives the same verbs with the same arguments as the rules of the workflow, so that the workflow takes what
comes back for its own.
"""

import argparse
import io
import math
import re
import signal
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
from selfdistill.stop import REQUEST, SIGNALS, Stopped
from selfdistill.training.finished import finished_states
from selfdistill.training.packs import options_of, packs
from selfdistill.training.states import checkpoints
from selfdistill.training.status import Asked, status

BLOCKS = Path(__file__).with_name("gpu_blocks.yaml")
RESULTS = Path("results")
MARGIN = 20  # seconds: what a stopped run needs beyond its grace to save and end
ECHO = 1  # seconds in which the same signal again is the first one: `timeout` signals its command and then the group
MANIFEST, PART = "manifest.json", re.compile(r"part-(\d+)\.bin")
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


class Supervisor:
    """Runs commands, one at a time, until the time is over or a signal comes, which the command is given too.

    Each command is a process group of its own: a terminal's Ctrl-C would else reach it twice, and the second signal
    ends a run at once.
    """

    def __init__(self, seconds: float):
        self.deadline = time.monotonic() + seconds
        self.asked: signal.Signals | None = None  # the signal that came last
        self._at = -math.inf
        self._process: subprocess.Popen | None = None
        self._sent: set[int] = set()

    def listen(self) -> None:
        """Take the signals, but those that whoever started this process has it ignore (`nohup`, `&`)."""
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if self.asked == number and now - self._at < ECHO:
            return
        self.asked, self._at = signal.Signals(number), now
        if self._process is not None:
            self._send(number)

    def _send(self, number: int) -> None:
        self._sent.add(number)
        self._process.send_signal(number)

    def left(self) -> float:
        """Seconds to the end of the time."""
        return self.deadline - time.monotonic()

    def run(self, command: list[str], reserve: float = 0, **options: object) -> int:
        """The exit status of a command, 75 when a signal or the time ended it or did not let it begin.

        reserve: seconds of the time that are kept for its end. A command that is asked to end is waited for.
        """
        seconds = self.left() - reserve
        if self.asked or seconds <= 0:
            return STOPPED
        self._sent = set()
        self._process = subprocess.Popen(command, process_group=0, **options)
        if self.asked and not self._sent:  # while it was being started
            self._send(self.asked)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            if not self._sent:
                self._send(signal.SIGTERM)
            code = self._process.wait()
        self._process = None
        if -code in self._sent:  # before it listened, or at the second signal
            return STOPPED
        return code if code >= 0 else 128 - code


def data_file(config: Config) -> Path:
    """The prepared data."""
    return RESULTS / "data" / f"{config.data.dataset}.safetensors"


def prepare_command(config: Config) -> list[str]:
    """What the rule of the data would run."""
    archives = canonical_json([archive.model_dump(exclude_none=True) for archive in config.data.archives])
    words = ("--dataset", config.data.dataset, "--archives", archives, "--output", data_file(config))
    return verb("prepare", *words)


def settings_command(config: Config, method: str) -> list[str]:
    """What the rule of a method's settings would run."""
    path = RESULTS / config.protocol / method / "settings.yaml"
    return verb("settings", "--block", canonical_json(run_settings(config, method)), "--output", path)


def train_command(config: Config, method: str, seeds: list[int]) -> list[str]:
    """What the training rule would run for these runs."""
    folder = RESULTS / config.protocol
    words = ["train", "--data", data_file(config), "--settings", folder / method / "settings.yaml"]
    words += options_of(config, RESULTS, method, seeds)
    for name, value in run_options(config, method, seeds[0]).items():
        words += [f"--{name}", value]
    return verb(*words, "--progress", "lines")


def train_block(config: Config, supervisor: Supervisor) -> int:
    """Train what is left; 0 when nothing is, 75 when the time is over or a signal came, else what failed ended with."""
    if not data_file(config).exists() and (code := supervisor.run(prepare_command(config))):
        return code
    reserve = config.checkpoint.grace + MARGIN
    for method, packed in in_order(config):
        asked = Asked(config, RESULTS)  # anew: a teacher may be new
        seeds = [seed for seed in packed if not asked.status(method, seed).done]
        if not seeds:
            continue
        code = supervisor.run(settings_command(config, method), reserve, stderr=subprocess.DEVNULL)
        code = code or supervisor.run(train_command(config, method, seeds), reserve)
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
    """The files to carry: outputs of runs, of unfinished runs the newest state; teachers before their students.

    logs: no weights and no states; only: a regular expression that names must match.
    """
    found, finished = [], {state for protocol in results.glob("*/") for state in finished_states(protocol)}
    for path in sorted(results.rglob("*"), key=lambda path: (path.stat().st_mtime_ns, str(path))):
        name = path.relative_to(results).as_posix()
        if not path.is_file() or not CARRIED.fullmatch(name) or not re.search(only, name):
            continue
        if name.startswith("data/") or (logs and path.suffix == ".safetensors" and path.stem != "test_logits"):
            continue
        if "/.state/" in name and (logs or path.parent in finished):
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
    write_json(output / MANIFEST, {"parts": parts, "sha256": sha256_bytes(content)})
    return len(parts)


def read_parts(source: Path) -> bytes:
    """The content of the parts in a folder, put together by their numbers.

    Raises: Failure 65 naming the manifest or the part that is missing, damaged or not what was packed.
    """
    manifest = read_json(source / MANIFEST)
    parts = manifest.get("parts")
    if not isinstance(parts, dict) or not all(PART.fullmatch(name) for name in parts):
        raise Failure(source / MANIFEST, "names no parts (part-000.bin ...) with their SHA-256", "fetch it again")
    found = []
    for name in sorted(parts, key=lambda name: int(PART.fullmatch(name)[1])):  # 1000 stands after 999
        part = (source / name).read_bytes() if (source / name).is_file() else b""
        if sha256_bytes(part) != parts[name]:
            raise Failure(source / name, "is missing or damaged (SHA-256 of the manifest)", "fetch it again")
        found.append(part)
    content = b"".join(found)
    if sha256_bytes(content) != manifest.get("sha256"):
        what = "its parts together are not what was packed (SHA-256 of the whole)"
        raise Failure(source / MANIFEST, what, "fetch it and all parts again")
    return content


def unpack(source: Path, results: Path) -> int:
    """Put the results in parts where the workflow looks for them; the number of files.

    Raises: Failure 65 when a part is missing or damaged, or names a file that is none of a run's.
    """
    content = read_parts(source)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            members = archive.getmembers()
            for member in members:
                if not member.isreg() or not CARRIED.fullmatch(member.name):
                    raise Failure(source, f"{member.name!r} is no file of a run", code=BAD_DATA)
            for member in members:  # in the order of their making, so that an output is newer than its inputs
                write_atomically(results / member.name, archive.extractfile(member).read())
    except tarfile.TarError as error:
        raise Failure(source, f"its parts are no tar archive ({error})", "pack the results again") from error
    return len(members)


def check_options(options: argparse.Namespace) -> None:
    """Refuse (Failure 78) what no command can work with."""
    for block, option in (("pack", "output"), ("unpack", "input")):
        if options.block == block and getattr(options, option) is None:
            raise Failure(f"--{option}", f"{block} needs the folder of the parts, got none", code=CONFIGURATION)
    if not options.minutes >= 0:
        raise Failure("--minutes", f"expected a number >= 0, got {options.minutes:g}", code=CONFIGURATION)
    if not 1 <= options.part_mb * 1e6 < math.inf:
        raise Failure("--part-mb", f"expected a number >= 0.000001, got {options.part_mb:g}", code=CONFIGURATION)
    try:
        re.compile(options.only)
    except re.error as error:
        what = f"expected a regular expression, got {options.only!r} ({error})"
        raise Failure("--only", what, code=CONFIGURATION) from error


def main() -> int:
    """Run a block, or pack or unpack; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("block", help="a block of gpu_blocks.yaml, or pack, or unpack, or show")
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit of a block; 0: only see what is left")
    parser.add_argument(
        "--config",
        "--configfile",  # Snakemake's word for it, which the messages of the package advise
        type=Path,
        nargs="*",
        default=[],
        help="files of one's own, laid on top",
    )
    parser.add_argument("--of", default="A", help="show: the block")
    parser.add_argument("--input", type=Path, help="unpack: the folder with the parts")
    parser.add_argument("--output", type=Path, help="pack: the folder for the parts")
    parser.add_argument("--part-mb", type=float, default=15.0, help="pack: the most that a part may have")
    parser.add_argument("--logs", action="store_true", help="pack: no weights and no states")
    parser.add_argument("--only", default="", help="pack: only files whose name matches this regular expression")
    options = parser.parse_args()
    check_options(options)
    if options.block == "pack":
        size = int(options.part_mb * 1e6)
        print(f"{pack(RESULTS, options.output, size, options.logs, options.only)} parts in {options.output}")
        return 0
    if options.block == "unpack":
        print(f"{unpack(options.input, RESULTS)} files in {RESULTS}")
        return 0
    if options.block == "show":
        show(block_config(options.of, options.config))
        return 0
    return run_block(block_config(options.block, options.config), options.minutes)


def run_block(config: Config, minutes: float) -> int:
    """Train what is left of a block within the time and show what there is; the exit status."""
    supervisor = Supervisor(60 * minutes)
    supervisor.listen()
    code = train_block(config, supervisor)
    show(config)
    if code == STOPPED:
        reason = f"stopped by {supervisor.asked.name}" if supervisor.asked else "something is left"
        print(f"{reason}; to go on, give the same scripts/gpu_block.sh command again", file=sys.stderr)
    return code


if __name__ == "__main__":
    REQUEST.listen()  # a block passes signals on instead
    try:
        sys.exit(main())
    except (Failure, Failures) as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.code)
    except Stopped as stopped:
        print(f"{stopped}; give the same command again", file=sys.stderr)
        sys.exit(STOPPED)
