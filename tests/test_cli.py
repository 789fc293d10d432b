"""The command line: one line on failure, the right exit status, no traceback unless asked for."""

import json
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import takewhile
from pathlib import Path

from helpers import verbs
from helpers.snakemake_runs import take_signals

from selfdistill.cli import app
from selfdistill.cli.app import LOOK, RULES, USE
from selfdistill.system.failures import BAD_DATA, CONFIGURATION, Failure

ROOT = Path(__file__).parent.parent


def selfdistill(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "selfdistill", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_the_help_groups_the_verbs_within_80_columns():
    done = selfdistill("--help")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, lines)) <= 80
    headings = [RULES, LOOK, USE]
    assert [line[:-1] for line in lines if line[:-1] in headings] == headings
    groups = {heading: {line.split()[0] for line in group(lines, heading)} for heading in headings}
    assert {"train", "table"} <= groups[RULES]
    assert {"status", "estimate", "clean"} <= groups[LOOK]
    assert {"show", "predict", "export"} == groups[USE]
    assert len(set.union(*groups.values())) == len(app.registered_commands)


def group(lines: list[str], heading: str) -> list[str]:
    """The lines below a heading."""
    return list(takewhile(str.strip, lines[lines.index(f"{heading}:") + 1 :]))


def test_all_mistakes_at_once_a_line_each_and_a_traceback_only_with_debug(tmp_path):
    (tmp_path / "bad.yaml").write_text("epoch: 3\nseeds: [0, 0]\nmethods: {kd: {alpha: 1.5}}\n")
    for debug, shown in (((), False), (("--debug",), True)):
        done = selfdistill("check", ROOT / "config.yaml", "bad.yaml", *debug, cwd=tmp_path)
        assert done.returncode == 78
        assert ("Traceback" in done.stderr) is shown
        assert [line.split(": ")[1] for line in done.stderr.splitlines()[-3:]] == ["epoch", "methods.kd.alpha", "seeds"]
        assert shown or done.stderr.count("\n") == 3


TABLE = """method,label,paper,accuracy,accuracy_sd,minus_control,time,seeds
kd,"ResNet18 (Student, KD)",94.20,70.55,,-1.02,0h 01m 02s,1
control,ResNet18 (Control),,71.57,,,0h 01m 00s,1
"""


def test_a_failure_is_one_line_whatever_a_library_says():
    assert (
        str(Failure("a.tar", "cannot be read (no\n- gz\n- xz)", "get it"))
        == "error: a.tar: cannot be read (no - gz - xz); get it"
    )


def test_show_prints_what_was_done_the_table_what_to_open_and_what_is_next(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    show = partial(verbs.selfdistill, "show", repository / "config.yaml", repository / "workflow/protocols/demo.yaml")
    absent = show()
    assert (absent.returncode, "table1.csv: cannot be read" in absent.stderr) == (BAD_DATA, True)
    report = Path("report/demo")
    (report / "details").mkdir(parents=True)
    for name, text in {"table1.csv": TABLE, "report.html": "", "curves_loss.pdf": ""}.items():
        (report / name).write_text(text)
    done = show("--started", time.time() - 65)
    assert done.stdout.splitlines() == [
        "done in 1:05: demo, 2 runs on scikit-learn's handwritten digits, 5 epochs",
        "",
        "                        accuracy (%)  minus control  paper (%)  training time",
        "ResNet18 (Student, KD)         70.55          -1.02      94.20     0h 01m 02s",
        "ResNet18 (Control)             71.57                               0h 01m 00s",
        "",
        "One seed per row, so no difference is judged.",
        "",
        "page     report/demo/report.html",
        "table    report/demo/table1.csv",
        "details  report/demo/details",
        "",
        "next:",
        "  make published   Table I from the author's own logs, in seconds",
        "  make quick       CIFAR-10 with small networks (downloads 170 MB)",
        "  make replicate   the paper's protocol (hours on a GPU)",
        "  echo 'methods: {kd: {temperature: 8}}' > t8.yaml; make demo CONFIG=t8.yaml",
    ]
    (report / "table1.csv").write_text(TABLE.replace("kd,", "kd_warm,", 1))  # of a file that is not given
    unknown = show()
    assert unknown.returncode == BAD_DATA
    assert "table1.csv: has rows that the configuration lacks: kd_warm; give the files" in unknown.stderr


def test_show_with_several_seeds_and_of_the_authors_logs(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    report, files = Path("report/published"), ("config.yaml", "workflow/protocols/published.yaml")
    report.mkdir(parents=True)
    show = partial(verbs.selfdistill, "show", *(repository / name for name in files))
    (report / "table1.csv").write_text(TABLE)
    assert "\nOne unseeded run per row, so no difference is judged.\n" in show().stdout
    (report / "table1.csv").write_text(TABLE.replace("70.55,,-1.02,0h 01m 02s,1", "70.55,0.12,,0h 01m 02s,3"))
    said = show().stdout
    assert said.startswith("done: published, from the author's own logs\n")
    assert "ResNet18 (Student, KD)  70.55 ± 0.12      94.20     0h 01m 02s\n" in said
    assert not [word for word in ("minus control", "seed", "make published") if word in said]


def test_show_on_a_terminal_without_utf8(tmp_path, monkeypatch, repository):
    (tmp_path / "report/quick").mkdir(parents=True)
    (tmp_path / "report/quick/table1.csv").write_text(TABLE.replace("70.55,,", "70.55,0.12,"), encoding="utf-8")
    files = repository / "config.yaml", repository / "workflow/protocols/quick.yaml"
    for name, value in {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    done = selfdistill("show", *files, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "70.55 ? 0.12" in done.stdout


def test_show_of_a_sweep_names_its_tables(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    table = Path("report/sweep/sweep_kd.md")
    table.parent.mkdir(parents=True)
    table.touch()
    files = repository / "config.yaml", repository / "workflow/protocols/sweep.yaml"
    assert verbs.selfdistill("show", *files).stdout == f"{table}\n"


def test_a_failure_stands_in_the_log_too(tmp_path):
    archives = json.dumps([{"path": "absent.tar.gz", "sha256": "0" * 64}])
    options = ("--archives", archives, "--output", "o.safetensors", "--log", "logs/data.txt")
    done = selfdistill("prepare", "--dataset", "cifar10", *options, cwd=tmp_path)
    assert done.returncode == 69
    assert (tmp_path / "logs" / "data.txt").read_text() == done.stderr


def test_a_stopped_command_ends_with_75_and_one_line(tmp_path):
    command = [sys.executable, "-c", WAITING, "prepare", "--dataset", "digits", "--archives", "[]", "--output", "o"]
    command += ["--log", "log"]
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP]
    started = {number: subprocess.Popen(command, preexec_fn=take_signals, **options) for number in numbers}
    for number, process in started.items():
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
    for number, process in started.items():
        _, said = process.communicate(timeout=300)  # a busy machine is slow
        assert process.returncode == 75
        assert said.startswith(f"data: stopped by {number.name}; to resume: python -m selfdistill prepare ")
        assert said.count("\n") == 1
    assert (tmp_path / "log").read_text().startswith("data: stopped by SIG")


WAITING = """
import time
from selfdistill.data import prepare
def wait(*_):
    print("waiting", flush=True)
    for _ in range(6000):  # a signal that comes just before a sleep is handled after it
        time.sleep(0.1)
prepare.prepare = wait
from selfdistill.cli import main
main()
"""


def test_an_unexpected_error_of_several_lines_is_one_line_and_a_full_memory_is_named(tmp_path):
    for text, code, expected in [
        ("first\n\n  second", 1, "error: RuntimeError: first second; run again with --debug for the traceback\n"),
        ("CUDA error: out of memory\nCUDA kernel errors might be", 71, "error: memory: out of memory; "),
        ("CUBLAS_STATUS_ALLOC_FAILED when calling", 71, "error: memory: out of memory; "),
    ]:
        command = [sys.executable, "-c", RAISING, "prepare", "--dataset", "digits", "--archives", "[]", "--output", "o"]
        done = subprocess.run(command, cwd=tmp_path, input=text, capture_output=True, text=True)
        assert done.returncode == code
        assert done.stderr.startswith(expected)
        assert done.stderr.count("\n") == 1


RAISING = """
import sys
from selfdistill.data import prepare
def fail(*_):
    raise RuntimeError(sys.stdin.read())
prepare.prepare = fail
from selfdistill.cli import main
main()
"""


def test_a_word_that_an_option_does_not_know_is_refused():
    rest = {"train": "--data d --output o --settings s --seed 0", "evaluate": "--data d --output o --weights w"}
    rest["prepare"] = "--output o --archives []"
    for verb, option, value, expected in (
        ("train", "--machine", "[]", "keys and values, got []"),
        ("train", "--machine", '{"threads": 0}', "auto or a whole number from 1 to 1024, got 0"),
        ("evaluate", "--device", "banana", "auto, cpu, cuda or cuda:<n>, n up to 99, got 'banana'"),
        ("prepare", "--dataset", "nope", "one of cifar10, cifar100, digits, got 'nope'"),
    ):
        done = verbs.selfdistill(verb, *rest[verb].split(), option, value)
        assert done.returncode == CONFIGURATION
        assert done.stderr.startswith(f"error: {option}: ")
        assert f"expected {expected}" in done.stderr
