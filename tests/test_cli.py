"""The command line: one line on failure, the right exit status, no traceback unless asked for."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROTOCOLS = sorted((ROOT / "workflow" / "protocols").glob("*.yaml"))


def selfdistill(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "selfdistill", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda path: path.stem)
def test_every_protocol_is_valid(protocol):
    done = selfdistill("check", ROOT / "config.yaml", protocol)
    assert done.returncode == 0
    assert done.stdout.startswith("valid: protocol")


def test_all_mistakes_at_once_a_line_each(tmp_path):
    (tmp_path / "bad.yaml").write_text("epoch: 3\nseeds: [0, 0]\nmethods: {kd: {alpha: 1.5, temperature: .nan}}\n")
    done = selfdistill("check", ROOT / "config.yaml", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 78
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [
        " methods.kd.alpha",
        " methods.kd.temperature",
        " seeds",
        " epoch",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_traceback_only_with_debug(tmp_path):
    for debug, shown in (((), False), (("--debug",), True)):
        done = selfdistill("check", tmp_path / "absent.yaml", *debug)
        assert done.returncode == 78
        assert ("Traceback" in done.stderr) is shown
        assert f"error: {tmp_path}/absent.yaml: cannot be read" in done.stderr


def test_settings_are_written_as_given(tmp_path):
    block = {"b": [1, 2], "a": {"x": 0.1}}
    done = selfdistill("settings", "--block", json.dumps(block), "--output", tmp_path / "deep" / "settings.yaml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "deep" / "settings.yaml").read_text() == "b:\n- 1\n- 2\na:\n  x: 0.1\n"


@pytest.mark.parametrize("block", ["{", "[1]"])
def test_settings_that_are_no_json_object_are_refused(tmp_path, block):
    done = selfdistill("settings", "--block", block, "--output", tmp_path / "s.yaml")
    assert done.returncode == 78
    assert done.stderr.startswith("error: --block: ")
    assert not (tmp_path / "s.yaml").exists()


def test_damaged_weights_are_named(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04pickle")
    done = selfdistill("evaluate", "--weights", "w.safetensors", "--data", "d", "--output", "o.json", cwd=tmp_path)
    assert done.returncode == 65
    assert done.stderr.startswith("error: w.safetensors: ")
    assert "Traceback" not in done.stderr


def test_an_archive_of_another_checksum_is_named(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"something else")
    archives = json.dumps([{"path": "a.tar.gz", "sha256": "0" * 64}])
    done = selfdistill(
        "prepare", "--dataset", "cifar10", "--archives", archives, "--output", "o.safetensors", cwd=tmp_path
    )
    assert done.returncode == 65
    assert "a.tar.gz: SHA-256 differs (expected 000" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "o.safetensors").exists()


def test_a_missing_archive_tells_how_to_provide_one(tmp_path):
    archives = json.dumps([{"path": "absent.tar.gz", "sha256": "0" * 64}])
    done = selfdistill("download", "--archives", archives, cwd=tmp_path)
    assert done.returncode == 69
    assert "absent.tar.gz: no such file" in done.stderr
    assert f"data.archives as {{path: WHERE-YOU-PUT-IT, sha256: {'0' * 64}}}" in done.stderr


def test_show_prints_the_table_and_what_to_open(tmp_path):
    (tmp_path / "table1.md").write_text("| Method |\n")
    (tmp_path / "curves_loss.pdf").write_text("")
    done = selfdistill("show", "--report", ".", cwd=tmp_path)
    assert done.stdout.splitlines() == ["| Method |", "", "to open:", "  curves_loss.pdf", "  table1.md"]


def test_show_ends_with_the_page(tmp_path):
    for name in ("table1.md", "report.html"):
        (tmp_path / name).write_text("| Method |\n")
    done = selfdistill("show", "--report", ".", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "all of it on one page: report.html"


def test_show_without_a_table_is_an_error(tmp_path):
    assert selfdistill("show", "--report", tmp_path).returncode == 65


def test_a_failure_stands_in_the_log_too(tmp_path):
    archives = json.dumps([{"path": "absent.tar.gz", "sha256": "0" * 64}])
    options = ("--archives", archives, "--output", "o.safetensors", "--log", "logs/data.txt")
    done = selfdistill("prepare", "--dataset", "cifar10", *options, cwd=tmp_path)
    assert done.returncode == 69
    assert (tmp_path / "logs" / "data.txt").read_text() == done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_stopped_command_ends_with_75_and_one_line(tmp_path, number):
    archives = json.dumps([{"path": "fifo", "sha256": "0" * 64}])
    command = [sys.executable, "-c", WAITING, "prepare", "--dataset", "digits", "--archives", archives, "--output", "o"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Under `nohup` or `&` the suite itself has some of these signals ignored.
    process = subprocess.Popen(
        command, cwd=tmp_path, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL), **options
    )
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    name = signal.Signals(number).name
    assert said.startswith(f"stopped by {name}; to go on, give the same snakemake command again, or: python -m ")
    assert said.count("\n") == 1


WAITING = """
import time
from selfdistill.data import prepare
def wait(*_):
    print("waiting", flush=True)
    time.sleep(60)
prepare.prepare = wait
from selfdistill.cli import main
main()
"""


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--machine", "[]", "expected a JSON dict, got []"),
        ("--machine", '{"deterministic": "perhaps"}', "deterministic: expected true or false, got 'perhaps'"),
        ("--machine", '{"resume_policy": "foo"}', "resume_policy: expected one of strict, relaxed, got 'foo'"),
        ("--machine", '{"device": "banana"}', "device: expected auto, cpu, cuda or cuda:<n>, got 'banana'"),
        ("--machine", '{"threads": 0}', "threads: expected auto or a whole number >= 1, got 0"),
        ("--progress", "dots", "expected one of bar, lines, got 'dots'"),
    ],
)
def test_a_word_that_an_option_does_not_know_is_refused(tmp_path, option, value, expected):
    needed = ("--data", "d", "--settings", "s", "--seed", "0", "--output", "o")
    done = selfdistill("train", *needed, option, value, cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr == f"error: {option}: {expected}\n"


@pytest.mark.parametrize(("dataset", "option"), [("cifar10", "--archives"), ("nope", "--dataset")])
def test_a_dataset_without_a_source_or_a_name_is_refused(tmp_path, dataset, option):
    done = selfdistill("prepare", "--dataset", dataset, "--archives", "[]", "--output", "o", cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr.startswith(f"error: {option}: expected ")


def test_the_page_takes_only_parts_that_there_are(tmp_path, refused):
    from selfdistill.cli import _made

    assert _made(["claims", "ledger"]) == {"claims", "ledger"}
    assert _made(None) == set()
    with refused(78, "--made", "ledger, deviations, claims"):
        _made(["pie"])
