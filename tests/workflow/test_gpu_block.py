"""A block of runs within a time limit, carried from machine to machine, and taken by the workflow for its own."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from snakemake_runs import ROOT, Workflow, take_signals

from scripts.gpu_block import BLOCKS, MANIFEST, Supervisor, block_config, carried, pack, unpack
from selfdistill.config.load import read_yaml
from selfdistill.config.settings import run_settings
from selfdistill.failures import STOPPED
from selfdistill.files import sha256_bytes, write_json, write_sealed

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path) -> Workflow:
    """A checkout on a machine without Snakemake."""
    workflow = Workflow.make(tmp_path / "machine")
    shutil.copytree(ROOT / "scripts", workflow.folder / "scripts")
    return workflow


def block(workflow: Workflow, *words: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "scripts.gpu_block", *words]
    done = subprocess.run(command, cwd=workflow.folder, env=workflow.environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


SLOW = "rows: [control]\nmethods: {control: {epochs: 40000}}\ncheckpoint: {grace: 1}\n"  # hours


def tensors(workflow: Workflow) -> dict[str, bytes]:
    names = ["*/seed0/*.safetensors", "*/seed0/history.csv"]
    found = [path for name in names for path in (workflow.folder / "results/demo").glob(name)]
    return {str(path.relative_to(workflow.folder)): path.read_bytes() for path in found}


def test_a_block_stops_in_time_goes_on_and_its_results_are_the_workflows(machine, finished, tmp_path):
    machine.write("slow.yaml", SLOW)
    started = time.monotonic()
    text = block(machine, "demo", "--minutes", ".8", "--config", "tiny.yaml", "slow.yaml", code=75)
    assert time.monotonic() - started < 48
    assert machine.trainers() == []
    assert "resumable at epoch" in text
    assert "0 of 1 done" in text
    shutil.rmtree(machine.folder / "results/demo")

    text = block(machine, "demo", "--minutes", "5", "--config", "tiny.yaml")
    assert "4 of 4 done" in text
    assert tensors(machine) == tensors(finished)
    assert "4 of 4 done" in block(machine, "demo", "--minutes", "0", "--config", "tiny.yaml")  # nothing is left to do

    block(machine, "pack", "--output", "carried", "--part-mb", ".5")
    parts = sorted((machine.folder / "carried").glob("part-*.bin"))
    assert len(parts) > 1
    block(machine, "pack", "--output", "whole", "--part-mb", "1000")
    with tarfile.open(machine.folder / "whole/part-000.bin") as archive:
        assert not any(".state" in name for name in archive.getnames())  # every run is finished
    assert max(part.stat().st_size for part in parts) <= 500_000

    home = Workflow.make(tmp_path / "home")
    shutil.copytree(ROOT / "scripts", home.folder / "scripts")
    home.run("data")
    block(home, "unpack", "--input", str(machine.folder / "carried"))
    report = {"table", "comparison", "figures"}
    assert set(home.plan()) == report | {f"write_report_settings {name}" for name in report} | {"report"}
    home.run()
    assert home.bits() == finished.bits()


def test_packs_are_trained_together(machine):
    rows = "pack: 2\nseeds: [7, 8]\nrows: [control]\nmethods: {control: {epochs: 1}}\n"
    (machine.folder / "packed.yaml").write_text(rows)
    text = block(machine, "demo", "--minutes", "5", "--config", "tiny.yaml", "packed.yaml")
    assert "2 of 2 done" in text
    facts = json.loads((machine.folder / "results/demo/control/seed8/run.json").read_text())
    assert facts["options"]["pack"] == [7, 8]


def test_an_unfinished_run_goes_on_on_another_machine(machine, finished, tmp_path):
    machine.write("half.yaml", "rows: [control]\n")
    process = machine.start("control")
    machine.wait_for_epoch("control", 1)
    for pid in machine.trainers():
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
    process.wait(60)
    block(machine, "pack", "--output", "carried")
    home = Workflow.make(tmp_path / "home")
    shutil.copytree(ROOT / "scripts", home.folder / "scripts")
    home.run("data")
    block(home, "unpack", "--input", str(machine.folder / "carried"))
    text = block(home, "demo", "--minutes", "5", "--config", "tiny.yaml", str(machine.folder / "half.yaml"))
    assert "resumed after epoch" in text or "1 of 1 done" in text
    weights = "results/demo/control/seed0/weights.safetensors"
    assert tensors(home)[weights] == tensors(finished)[weights]


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_part_that_is_not_whole_is_refused(harm, machine):
    folder = machine.folder / "results/demo/control/seed0"
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("epoch\n1\n")
    block(machine, "pack", "--output", "carried")
    (part,) = (machine.folder / "carried").glob("part-*.bin")
    part.write_bytes(part.read_bytes()[:-1]) if harm == "damaged" else part.unlink()
    assert f"{part.name}: is missing or damaged" in block(machine, "unpack", "--input", "carried", code=65)


def parts_of(content: bytes, folder: Path) -> None:
    """A folder as `pack` makes it, of one part."""
    folder.mkdir(exist_ok=True)
    (folder / "part-000.bin").write_bytes(content)
    write_json(folder / MANIFEST, {"parts": {"part-000.bin": sha256_bytes(content)}, "sha256": sha256_bytes(content)})


def test_a_file_that_is_no_runs_is_refused(tmp_path, refused):
    for name in ("../canary", "/tmp/canary-of-a-block", "demo/control/seed0/run.sh", "demo/../../canary"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
        parts_of(buffer.getvalue(), tmp_path / "carried")
        with refused(65, repr(name), "is no file of a run"):
            unpack(tmp_path / "carried", tmp_path / "results")
    assert not list(tmp_path.rglob("canary*"))
    assert not Path("/tmp/canary-of-a-block").exists()


def test_a_content_that_is_no_archive_is_refused(tmp_path, refused):
    parts_of(b"nothing of the kind" * 100, tmp_path / "carried")
    with refused(65, tmp_path / "carried", "no tar archive"):
        unpack(tmp_path / "carried", tmp_path / "results")


def packed(folder: Path, part_bytes: int) -> Path:
    """A file of a run, packed into `carried` beside it."""
    history = folder / "results/demo/control/seed0/history.csv"
    history.parent.mkdir(parents=True)
    history.write_bytes(os.urandom(8_000))  # no two parts alike
    pack(folder / "results", folder / "carried", part_bytes, logs=False, only="")
    return history


def test_more_than_a_thousand_parts_are_put_together_in_their_order(tmp_path):
    history = packed(tmp_path, 10)
    assert (tmp_path / "carried/part-1000.bin").exists()
    assert unpack(tmp_path / "carried", tmp_path / "home") == 1
    assert (tmp_path / "home/demo/control/seed0/history.csv").read_bytes() == history.read_bytes()


def test_the_whole_must_be_what_was_packed(tmp_path, refused):
    packed(tmp_path, 1_000)
    path = tmp_path / "carried" / MANIFEST
    manifest = json.loads(path.read_text())
    fewer = {name: digest for name, digest in manifest["parts"].items() if name != "part-005.bin"}
    for wrong in (manifest | {"parts": fewer}, {"parts": manifest["parts"]}, manifest | {"sha256": 3}):
        write_json(path, wrong)
        with refused(65, path, "SHA-256 of the whole"):
            unpack(tmp_path / "carried", tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("manifest", [{}, {"parts": 3}, {"parts": ["part-000.bin"]}, {"parts": {"../part-0": "x"}}])
def test_a_manifest_that_names_no_parts_is_refused(manifest, tmp_path, refused):
    write_json(tmp_path / MANIFEST, manifest)
    with refused(65, tmp_path / MANIFEST, "names no parts"):
        unpack(tmp_path, tmp_path / "results")


@pytest.fixture
def two_runs(tmp_path) -> Path:
    """Results with a finished and an unfinished run, each with two states."""
    results = tmp_path / "results"
    for seed in (0, 1):
        run, state = results / f"demo/kd/seed{seed}", results / f"demo/.state/kd-seed{seed}-0123456789ab"
        run.mkdir(parents=True)
        state.mkdir(parents=True)
        (run / "history.csv").write_text("epoch\n1\n")
        (state / "history.csv").write_text("epoch\n1\n")
        for epoch in (1, 2):
            (state / f"ckpt-{epoch:04d}-0123456789abcdef.safetensors").write_bytes(b"state")
    outputs = {"history.csv": sha256_bytes(b"epoch\n1\n")}
    write_sealed(results / "demo/kd/seed0/run.json", {"outputs": outputs, "state": "kd-seed0-0123456789ab"})
    return results


def states(results: Path, logs: bool = False) -> list[str]:
    names = [path.relative_to(results / "demo").as_posix() for path in carried(results, logs, "")]
    return sorted(name for name in names if name.startswith(".state"))


def test_of_unfinished_runs_alone_the_newest_state_is_carried(two_runs):
    state = ".state/kd-seed1-0123456789ab"
    assert states(two_runs) == [f"{state}/ckpt-0002-0123456789abcdef.safetensors", f"{state}/history.csv"]
    assert (two_runs / "demo/.state/kd-seed0-0123456789ab").is_dir()  # packing removes nothing
    assert states(two_runs, logs=True) == []  # a history alone would tell of lost states


def test_the_state_of_a_run_with_damaged_outputs_is_carried(two_runs):
    (two_runs / "demo/kd/seed0/history.csv").write_text("epoch\n")
    assert len(states(two_runs)) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pack"], "--output: pack needs the folder of the parts, got none"),
        (["unpack"], "--input: unpack needs the folder of the parts, got none"),
        (["pack", "--output", "o", "--only", "("], "--only: expected a regular expression, got '('"),
        (["pack", "--output", "o", "--part-mb", "0"], "--part-mb: expected a number >= 0.000001, got 0"),
        (["pack", "--output", "o", "--part-mb", "nan"], "--part-mb: expected a number >= 0.000001, got nan"),
        (["pack", "--output", "o", "--part-mb", "inf"], "--part-mb: expected a number >= 0.000001, got inf"),
        (["demo", "--minutes", "-1"], "--minutes: expected a number >= 0, got -1"),
        (["demo", "--minutes", "nan"], "--minutes: expected a number >= 0, got nan"),
    ],
)
def test_an_option_that_cannot_be_is_named(words, message, machine):
    text = block(machine, *words, code=78)
    assert text.startswith(f"error: {message}")
    assert text.count("\n") == 1
    assert not (machine.folder / "o").exists()
    assert not (machine.folder / "results").exists()


def test_no_minutes_begin_nothing(machine):
    text = block(machine, "demo", "--minutes", "0", "--config", "tiny.yaml", code=75)
    assert "0 of 4 done" in text
    assert not (machine.folder / "results").exists()


def test_the_time_limit_is_that_of_the_data_too(machine):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the request and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/cifar-10-binary.tar.gz"
        archives = f"[{{url: '{url}', sha256: '{'0' * 64}'}}]"
        machine.write("silent.yaml", f"data: {{dataset: cifar10, archives: {archives}}}\n")
        started = time.monotonic()
        text = block(machine, "demo", "--minutes", ".15", "--config", "tiny.yaml", "silent.yaml", code=75)
        assert time.monotonic() - started < 30  # the download by itself gives up after 3 times 30 seconds
    assert "0 of 4 done" in text


def test_the_advice_of_a_failed_download_can_be_followed(machine):
    machine.write("absent.yaml", f"data: {{dataset: cifar10, archives: [{{path: absent, sha256: '{'0' * 64}'}}]}}\n")
    text = block(machine, "demo", "--config", "absent.yaml", code=69)
    option = re.search(r"\((--\w+) my.yaml\)", text)[1]
    machine.write("my.yaml", "no_such_key: 1\n")
    assert "no_such_key" in block(machine, "demo", option, "my.yaml", code=78)


def start(workflow: Workflow, *words: str) -> subprocess.Popen:
    """A block in a process group of its own, as a shell starts it."""
    command = [sys.executable, "-m", "scripts.gpu_block", *words]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(command, cwd=workflow.folder, env=workflow.environment, preexec_fn=take_signals, **options)


@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGINT, os.killpg),  # Ctrl-C: a terminal signals everything that it started
        (signal.SIGTERM, os.kill),
        (signal.SIGUSR1, os.kill),
        (signal.SIGHUP, os.kill),
    ],
)
def test_a_signal_ends_a_block_like_its_time(number, send, machine):
    machine.write("slow.yaml", SLOW)
    process = start(machine, "demo", "--minutes", "5", "--config", "tiny.yaml", "slow.yaml")
    try:
        machine.wait_for_epoch("control", 1)
        send(process.pid, number)
        shown, said = process.communicate(timeout=60)
        assert machine.trainers() == []
    finally:
        for pid in machine.trainers():
            os.kill(pid, signal.SIGKILL)
    assert process.returncode == 75
    assert "resumable at epoch" in shown
    assert "to go on, give the same snakemake command again" in said  # the trainer says so unless it died
    assert f"stopped by {number.name}; to go on, give the same scripts/gpu_block.sh command again" in said
    assert "Traceback" not in said


# Tells that it listens, what came and, after the second signal or at its end, how it ends.
TRAINER = """
import signal, sys, time
came = []
signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
print("listens", flush=True)
while len(came) < {signals}:
    time.sleep(.01)
time.sleep({grace})
print(*came, flush=True)
sys.exit({code})
"""


def supervised(tmp_path, sender, *, seconds=60, signals=1, grace=0, code=75) -> tuple[int, str]:
    """What a supervisor makes of a command, and what that says; sender: code that runs in a thread once it listens."""
    trainer = TRAINER.format(signals=signals, grace=grace, code=code)
    program = f"""
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from scripts.gpu_block import Supervisor
supervisor = Supervisor({seconds})
supervisor.listen()
said = Path({str(tmp_path / "said")!r})
said.touch()
def send():
    while "listens" not in said.read_text():
        time.sleep(.01)
{sender}
threading.Thread(target=send, daemon=True).start()
code = supervisor.run([sys.executable, "-c", {trainer!r}], stdout=said.open("w"))
print("came back with", code, supervisor.run([sys.executable, "-c", "print('another')"]))
"""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, preexec_fn=take_signals)
    assert done.returncode == 0, done.stderr
    return done.stdout, (tmp_path / "said").read_text().removeprefix("listens\n").strip()


TERM = "    os.kill(os.getpid(), signal.SIGTERM)\n"


def test_a_command_is_waited_for_and_none_begins_after_it(tmp_path):
    said, came = supervised(tmp_path, TERM, grace=1)
    assert said == "came back with 75 75\n"
    assert came == "15"


def test_a_second_signal_is_passed_on(tmp_path):
    said, came = supervised(tmp_path, TERM + "    time.sleep(1.2)\n" + TERM, signals=2)
    assert said == "came back with 75 75\n"
    assert came == "15 15"


def test_a_signal_that_comes_at_once_again_is_the_first(tmp_path):
    """`timeout` signals its command and then the group, the command with it."""
    _, came = supervised(tmp_path, TERM + "    time.sleep(.3)\n" + TERM, grace=2)
    assert came == "15"


def test_the_end_of_the_time_is_no_second_signal(tmp_path):
    _, came = supervised(tmp_path, TERM, seconds=4, grace=6)
    assert came == "15"


def test_a_command_that_ends_at_the_signal_itself_was_stopped():
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert Supervisor(1).run(sleep) == STOPPED


def test_a_command_is_not_of_our_process_group():
    """A terminal's Ctrl-C, which we pass on, would reach it twice."""
    assert (
        Supervisor(60).run([sys.executable, "-c", f"import os; raise SystemExit(os.getpgrp() == {os.getpgrp()})"]) == 0
    )


def test_what_a_command_ends_with_is_told():
    supervisor = Supervisor(60)
    assert supervisor.run([sys.executable, "-c", "raise SystemExit(70)"]) == 70
    assert supervisor.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + 9
    assert supervisor.run([sys.executable, "-c", ""]) == 0


def test_a_signal_that_is_ignored_stays_so():
    """`nohup` has a closing terminal mean nothing to the block."""
    program = "import signal; signal.signal(1, signal.SIG_IGN)\n"
    program += "from scripts.gpu_block import Supervisor; s = Supervisor(9); s.listen()\n"
    program += "assert signal.getsignal(1) == signal.SIG_IGN and signal.getsignal(15) == s._pass_on"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_an_unknown_block_is_named(machine):
    assert "expected one of paper, A, B, C, D, E, F, G, demo, got 'Z'" in block(machine, "Z", code=78)


def test_the_script_says_what_it_can_do():
    script = ROOT / "scripts" / "gpu_block.sh"
    done = subprocess.run(
        ["bash", str(script), "--help"], env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}, capture_output=True
    )
    assert done.returncode == 0
    assert b"time limit of a block" in done.stdout


def test_every_block_is_a_valid_configuration_and_later_ones_ask_for_the_same_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    runs = {}
    for name in read_yaml(BLOCKS):
        config = block_config(name, [])
        runs[name] = {(method, seed): run_settings(config, method) for method, seed in config.runs()}
    assert set(runs) == {"paper", *"ABCDEFG", "demo"}
    assert len(runs["B"].keys() & runs["C"].keys()) >= 8
    for name in "CDEFG":  # settings that differed would train a run of the same name again
        shared = runs["B"].keys() & runs[name].keys()
        assert all(runs["B"][run] == runs[name][run] for run in shared)
