"""Half results: a table is made from the runs that the configuration names, whole, or it is refused.

What may be wrong in a line of a log: tests/report/test_logs.py.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from helpers.reporting import report_settings, write_run
from helpers.tables import rows

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


def fresh_logs(tmp_path: Path) -> Path:
    """Whole logs of every run."""
    logs = tmp_path / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    for (method, seed), accuracy in ACCURACY.items():
        write_run(logs, method, seed, [0.1, 0.2, accuracy])
    return logs


def edit(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Change the lines of a log, and forge its checksum in run.json."""

    def harm(logs: Path) -> None:
        path = logs / "kd/seed1" / name
        path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
        outputs = read_sealed(path.parent / "run.json")["outputs"] | {name: sha256_of(path)}
        change_facts(path.parent, outputs=outputs)

    return harm


def change_facts(run: Path, **facts) -> None:
    write_sealed(run / "run.json", read_sealed(run / "run.json") | facts)


class Case(NamedTuple):
    """What is done to the logs, and whether allow_missing makes the table without that run."""

    name: str
    harm: Callable[[Path], object]
    may_be_missing: bool = False


def lose(*names: str) -> Callable[[Path], None]:
    return lambda logs: [(logs / "kd/seed1" / name).unlink() for name in names] and None


def copy_run(source: str, target: str) -> Callable[[Path], None]:
    def harm(logs: Path) -> None:
        shutil.rmtree(logs / target, ignore_errors=True)
        shutil.copytree(logs / source, logs / target)

    return harm


def last(old: str, new: str = "") -> Callable[[list[str]], list[str]]:
    """Change the last line of a log."""
    return lambda lines: [*lines[:-1], lines[-1].replace(old, new, 1)]


def publish(logs: Path) -> None:
    """A run of somebody else, who says that it is of another method."""
    facts = read_sealed(logs / "kd/seed1/run.json")
    del facts["settings"]
    write_sealed(logs / "kd/seed1/run.json", facts | {"source": "elsewhere", "method": "teacher", "seed": None})


HALF = {"may_be_missing": True}
CASES = [
    Case("no folder", lambda logs: shutil.rmtree(logs / "kd/seed1"), **HALF),
    Case("no run.json", lose("run.json"), **HALF),
    Case("no history", lose("history.csv"), **HALF),
    Case("no timing", lose("timing.csv"), **HALF),
    Case("only a run.json", lose("history.csv", "timing.csv"), **HALF),
    Case("epochs in another order", edit("history.csv", lambda lines: [lines[0], lines[2], lines[1], lines[3]])),
    Case("header alone", edit("history.csv", lambda lines: lines[:1])),
    Case("empty file", edit("history.csv", lambda lines: [])),
    Case("infinity", edit("history.csv", last("0.81", "inf"))),
    Case("an accuracy below 0", edit("history.csv", last("0.81", "-0.81"))),
    Case("a timing without a value", edit("timing.csv", last("33.333333333333336"))),
    Case("a negative timing", edit("timing.csv", last("33.3", "-33.3"))),
    Case("a timing of other epochs", edit("timing.csv", last("3,", "4,"))),
    Case("the author's log of another method", publish),
    Case("another seed's folder", copy_run("kd/seed0", "kd/seed1")),
    Case("another method's folder", copy_run("teacher/seed1", "kd/seed1")),
    Case("other settings", lambda logs: change_facts(logs / "kd/seed1", settings={"method": "kd", "epochs": 4})),
    Case("no settings", lambda logs: change_facts(logs / "kd/seed1", settings=None)),
    Case("run.json vouches for nothing", lambda logs: change_facts(logs / "kd/seed1", outputs={})),
]
LEFTOVERS = ["kd/seed7", "old/seed0"]  # a seed and a method that the configuration does not name


def refusal(logs: Path, output: Path, **options) -> str | None:
    """The line with which the table is refused, None if it is made. Every step reads its runs in this way."""
    settings = report_settings(rows=ROWS, seeds=SEEDS, epochs=EPOCHS, **options)
    try:
        write(settings, "table", Results(settings, logs), output)
    except Failure as failure:
        return str(failure) if failure.code == BAD_DATA and "\n" not in str(failure) else ""
    return None


def kd_of(output: Path) -> tuple[str, str]:
    """The seeds and the accuracy of kd's row."""
    row = next(row for row in rows(output, "table1.csv") if row["method"] == "kd")
    return row["seeds"], row["accuracy"]


def test_half_results_are_refused_with_their_run(tmp_path, figure):
    wrong = []
    for case in CASES:
        folder, output = fresh_logs(tmp_path), tmp_path / "out"
        case.harm(folder)
        said = refusal(folder, output)
        if said is None or f"{folder}/kd/seed1" not in said or output.exists():
            wrong.append(f"{case.name}: {said}")
        if case.may_be_missing:
            continue
        said = refusal(folder, output, allow_missing=True)  # damage is never taken for absence
        if said is None or f"{folder}/kd/seed1" not in said:
            wrong.append(f"{case.name} with allow_missing: {said}")
    figure("half results", f"{len(CASES) - len(wrong)}/{len(CASES)} refused with the run named")
    assert wrong == []


def test_a_run_may_be_missing_where_that_is_allowed(tmp_path):
    for case in (case for case in CASES if case.may_be_missing):
        folder = fresh_logs(tmp_path)
        case.harm(folder)
        assert refusal(folder, tmp_path / "out", allow_missing=True) is None, case.name
        assert kd_of(tmp_path / "out") == ("2", "82.50"), case.name
        table = (tmp_path / "out/table1.md").read_text()
        assert "Missing runs: kd seed 1." in table, case.name
        assert [line.split(" | ")[-1] for line in table.splitlines()[:4]] == ["n |", "---: |", "3 |", "2 |"], case.name


def test_a_leftover_is_in_no_mean_and_is_named(tmp_path):
    for leftover in LEFTOVERS:
        folder = fresh_logs(tmp_path)
        copy_run("kd/seed0", leftover)(folder)
        assert refusal(folder, tmp_path / "out") is None
        assert kd_of(tmp_path / "out") == ("3", "82.00")
        assert f"not in the configuration: {leftover.replace('/', ' ')}." in (tmp_path / "out/table1.md").read_text()


def test_a_run_of_another_environment_is_marked_in_the_note(tmp_path):
    folder = fresh_logs(tmp_path)
    change_facts(folder / "kd/seed1", bit_exact=False)
    assert refusal(folder, tmp_path / "out") is None
    assert "bit_exact: false" in (tmp_path / "out/table1.md").read_text()
