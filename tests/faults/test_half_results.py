"""Half results: a table is made from the runs that the configuration names, whole, or it is refused."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.reporting import report_settings, write_run

from selfdistill.report.artefacts import write
from selfdistill.report.results import Results
from selfdistill.system.failures import BAD_DATA, Failure
from selfdistill.system.files import read_sealed, sha256_of, write_sealed

ROWS = [
    {"method": "teacher", "label": "Teacher", "published": {"accuracy": 90.1, "time": "1h 56m 17s"}},
    {"method": "kd", "label": "Student"},
]
SEEDS, EPOCHS = (0, 1, 2), 3
ACCURACY = {("teacher", 0): 0.90, ("teacher", 1): 0.92, ("teacher", 2): 0.94, ("kd", 0): 0.80, ("kd", 1): 0.81}
ACCURACY[("kd", 2)] = 0.85


def make_logs(logs: Path) -> None:
    for (method, seed), accuracy in ACCURACY.items():
        write_run(logs, method, seed, [0.1, 0.2, accuracy])


def edit(path: Path, change: Callable[[list[str]], list[str]], *, sealed: bool = True) -> None:
    """Change the lines of a log; `sealed` also forges its checksum in run.json."""
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
    if sealed:
        facts = read_sealed(path.parent / "run.json")
        facts["outputs"][path.name] = sha256_of(path)
        write_sealed(path.parent / "run.json", facts)


def change_facts(run: Path, **facts) -> None:
    write_sealed(run / "run.json", read_sealed(run / "run.json") | facts)


class Case(NamedTuple):
    """What is done to the logs, and whether allow_missing makes the table without that run."""

    name: str
    harm: Callable[[Path], object]
    run: str = "kd/seed1"
    may_be_missing: bool = False


def lose(*names: str) -> Callable[[Path], None]:
    return lambda logs: [(logs / "kd/seed1" / name).unlink() for name in names] and None


def history(change: Callable[[list[str]], list[str]], **options) -> Callable[[Path], None]:
    return lambda logs: edit(logs / "kd/seed1/history.csv", change, **options)


def copy_run(source: str, target: str) -> Callable[[Path], None]:
    def harm(logs: Path) -> None:
        shutil.rmtree(logs / target, ignore_errors=True)
        shutil.copytree(logs / source, logs / target)

    return harm


def emptied(old: str, new: str = "") -> Callable[[list[str]], list[str]]:
    """Change the last line of a log."""
    return lambda lines: [*lines[:-1], lines[-1].replace(old, new, 1)]


def publish(method: str) -> Callable[[Path], None]:
    """A run of somebody else, who says which method it was."""

    def harm(logs: Path) -> None:
        facts = read_sealed(logs / "kd/seed1/run.json")
        del facts["settings"]
        write_sealed(logs / "kd/seed1/run.json", facts | {"source": "elsewhere", "method": method, "seed": None})

    return harm


HALF = {"may_be_missing": True}
CASES = [
    Case("no folder", lambda logs: shutil.rmtree(logs / "kd/seed1"), **HALF),
    Case("empty folder", lose("history.csv", "timing.csv", "run.json"), **HALF),
    Case("no run.json", lose("run.json"), **HALF),
    Case("no history", lose("history.csv"), **HALF),
    Case("no timing", lose("timing.csv"), **HALF),
    Case("only a history", lose("run.json", "timing.csv"), **HALF),
    Case("only a run.json", lose("history.csv", "timing.csv"), **HALF),
    Case("fewer rows than epochs", history(lambda lines: lines[:-1])),
    Case("more rows than epochs", history(lambda lines: [*lines, lines[-1].replace("3,", "4,", 1)])),
    Case("an epoch twice", history(lambda lines: [*lines[:-1], lines[-2], lines[-1]])),
    Case("epochs in another order", history(lambda lines: [lines[0], lines[2], lines[1], lines[3]])),
    Case("header alone", history(lambda lines: lines[:1])),
    Case("empty file", history(lambda lines: [])),
    Case("half a row", history(lambda lines: [*lines[:-1], lines[-1][:10]])),
    Case("header twice", history(lambda lines: [lines[0], *lines])),
    Case("no last accuracy", history(lambda lines: [*lines[:-1], lines[-1].replace("0.81", "")])),
    Case("NaN", history(lambda lines: [*lines[:-1], lines[-1].replace("0.81", "nan")])),
    Case("infinity", history(lambda lines: [*lines[:-1], lines[-1].replace("0.81", "inf")])),
    Case("percent", history(lambda lines: [*lines[:-1], lines[-1].replace("0.81", "81.0")])),
    Case("an accuracy below 0", history(lambda lines: [*lines[:-1], lines[-1].replace("0.81", "-0.81")])),
    Case("a better accuracy", history(lambda lines: [*lines[:-1], lines[-1].replace("0.81", "0.99")], sealed=False)),
    Case("a column too many", history(lambda lines: [line.replace("\n", ",1\n") for line in lines[1:]])),
    Case("a timing without a value", lambda logs: edit(logs / "kd/seed1/timing.csv", emptied("33.333333333333336"))),
    Case("a negative timing", lambda logs: edit(logs / "kd/seed1/timing.csv", emptied("33.3", "-33.3"))),
    Case("a timing of other epochs", lambda logs: edit(logs / "kd/seed1/timing.csv", emptied("3,", "4,"))),
    Case("the paper's log of another method", publish("teacher")),
    Case("timing of fewer epochs", lambda logs: edit(logs / "kd/seed1/timing.csv", lambda lines: lines[:-1])),
    Case("timing of another run", lambda logs: shutil.copy(logs / "kd/seed0/run.json", logs / "kd/seed1/run.json")),
    Case("another seed's folder", copy_run("kd/seed0", "kd/seed1")),
    Case("another method's folder", copy_run("teacher/seed1", "kd/seed1")),
    Case("other settings", lambda logs: change_facts(logs / "kd/seed1", settings={"method": "kd", "epochs": 4})),
    Case("no settings", lambda logs: change_facts(logs / "kd/seed1", settings=None)),
    Case("run.json vouches for nothing", lambda logs: change_facts(logs / "kd/seed1", outputs={})),
    Case("run.json edited", lambda logs: (logs / "kd/seed1/run.json").write_text("{}\n")),
    Case("run.json cut", lambda logs: (logs / "kd/seed1/run.json").write_text('{"seed": 1')),
]
LEFTOVERS = [
    Case("a seed that is not named", copy_run("kd/seed0", "kd/seed7"), run="kd/seed7"),
    Case("a method that is not named", copy_run("kd/seed0", "old/seed0"), run="old/seed0"),
    Case("a strange folder", copy_run("kd/seed0", "kd/seed01"), run="kd/seed01"),
]


def refusal(logs: Path, output: Path, **options) -> str | None:
    """The line with which the table is refused, None if it is made. Every step reads its runs in this way."""
    settings = report_settings(rows=ROWS, seeds=SEEDS, epochs=EPOCHS, **options)
    try:
        write(settings, "table", Results(settings, logs), output)
    except Failure as failure:
        return str(failure) if failure.code == BAD_DATA and "\n" not in str(failure) else ""
    return None


@pytest.fixture
def logs(tmp_path):
    def fresh() -> Path:
        shutil.rmtree(tmp_path / "logs", ignore_errors=True)
        make_logs(tmp_path / "logs")
        return tmp_path / "logs"

    return fresh


def table_of(output: Path) -> dict[str, dict[str, str]]:
    with open(output / "table1.csv", newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_whole_results_make_the_table(logs, tmp_path):
    assert refusal(logs(), tmp_path / "out") is None
    row = table_of(tmp_path / "out")["kd"]
    assert (row["seeds"], row["accuracy"]) == ("3", "82.00")


def test_half_results_are_refused_with_their_run(logs, tmp_path, figure):
    wrong = []
    for case in CASES:
        folder, output = logs(), tmp_path / "out"
        case.harm(folder)
        said = refusal(folder, output)
        if said is None or f"{folder}/{case.run}" not in said or output.exists():
            wrong.append(f"{case.name}: {said}")
        if case.may_be_missing:
            continue
        said = refusal(folder, output, allow_missing=True)  # damage is never taken for absence
        if said is None or f"{folder}/{case.run}" not in said:
            wrong.append(f"{case.name} with allow_missing: {said}")
    figure("half results", f"{len(CASES) - len(wrong)}/{len(CASES)} refused with the run named")
    assert wrong == []


@pytest.mark.parametrize("case", [case for case in CASES if case.may_be_missing], ids=lambda case: case.name)
def test_a_run_may_be_missing_where_that_is_allowed(case, logs, tmp_path):
    folder = logs()
    case.harm(folder)
    assert refusal(folder, tmp_path / "out", allow_missing=True) is None
    row = table_of(tmp_path / "out")["kd"]
    assert (row["seeds"], row["accuracy"]) == ("2", "82.50")
    note = (tmp_path / "out/table1.md").read_text()
    assert "Missing runs: kd seed 1." in note
    assert "teacher: n = 3; kd: n = 2" in note


@pytest.mark.parametrize("case", LEFTOVERS, ids=lambda case: case.name)
def test_a_leftover_is_in_no_mean_and_is_named(case, logs, tmp_path):
    folder = logs()
    case.harm(folder)
    assert refusal(folder, tmp_path / "out") is None
    row = table_of(tmp_path / "out")["kd"]
    assert (row["seeds"], row["accuracy"]) == ("3", "82.00")
    assert f"not in the configuration: {case.run.replace('/', ' ')}." in (tmp_path / "out/table1.md").read_text()


def test_a_run_of_another_environment_is_marked_in_the_note(logs, tmp_path):
    folder = logs()
    change_facts(folder / "kd/seed1", bit_exact=False)
    assert refusal(folder, tmp_path / "out") is None
    assert "bit_exact: false" in (tmp_path / "out/table1.md").read_text()
