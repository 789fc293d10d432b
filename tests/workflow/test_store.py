"""What was trained once is never trained again: each case with its trainings counted, in the real workflow."""

import os
import re
import shutil
import signal
import sys
import time

from helpers.snakemake_runs import Workflow

RESULTS = "results/demo"


def trained(said: str) -> list[str]:
    """The runs that were trained, by the first line of each."""
    return sorted(f"{method}/{seed}" for method, seed in re.findall(r"^(\S+) seed (\d+): resnet", said, re.M))


def restored(said: str) -> list[str]:
    """The runs that the store had."""
    lines = re.findall(r"^(\S+) seed (\d+): already trained \(commit .*\); nothing to train$", said, re.M)
    return sorted(f"{method}/{seed}" for method, seed in lines)


def files(folder) -> dict[str, bytes]:
    """Everything under results/ and report/ but for logs and locks."""
    paths = [path for name in ("results", "report") for path in (folder / name).rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths if path.suffix not in (".txt", ".lock")}


def without_records(workflow: Workflow, folder) -> Workflow:
    """A fresh copy of the workflow with its results, as `cp -r` makes it: without their times, links and records."""
    fresh = Workflow.make(folder)
    for name in ("results", "report"):
        shutil.copytree(workflow.folder / name, fresh.folder / name, copy_function=shutil.copyfile)
    return fresh


def settled(workflow: Workflow) -> None:
    """Set all times so that no file is newer than the files made from it."""
    for age, pattern in enumerate(("report/**/*", f"{RESULTS}/[!t]*/seed*/*", f"{RESULTS}/teacher/seed*/*"), 1):
        for path in workflow.folder.glob(pattern):
            os.utime(path, (time.time() - 100 * age,) * 2)
    for pattern in (f"{RESULTS}/settings/*", f"{RESULTS}/*/settings-*", "results/data/*", "workflow/**/*", "*.yaml"):
        for path in workflow.folder.glob(pattern):
            os.utime(path, (time.time() - 1000,) * 2)


def temperature(workflow: Workflow, value: float) -> str:
    return workflow.write(f"T{value}.yaml", f"methods: {{kd: {{temperature: {value}}}}}")


def test_data_that_was_removed_and_a_new_seed_train_that_seed(done):
    (done.folder / "results/data/digits.safetensors").unlink()
    said = done.run("control", files=(done.write("seeds.yaml", "seeds: [0, 1]"),))
    assert "rule download_data" in said
    assert trained(said) == ["control/1"]


def test_there_and_back_trains_once(done):
    weights = done.folder / f"{RESULTS}/kd/seed0/weights.safetensors"
    first, before = weights.read_bytes(), files(done.folder)
    line = "kd: temperature 4.0 -> 8.0; 1 finished run is replaced (kept in the store; "
    line += 'to keep both side by side: README, "T = 8 beside T = 4")'
    name = temperature(done, 8)
    plan = done.run("-n", "kd", files=(name,))
    assert plan.count(line) == 1
    assert files(done.folder) == before  # a dry run writes nothing
    said = done.run("kd", "table", files=(name,))
    assert said.count(line) == 1
    assert said.index(line) < said.index("rule write_settings")
    assert trained(said) == ["kd/0"]
    assert weights.read_bytes() != first
    said = done.run("kd", "table")
    assert "kd: temperature 8.0 -> 4.0; " in said
    assert (trained(said), restored(said)) == ([], ["kd/0"])
    assert weights.read_bytes() == first
    said = done.run("kd", "table", files=(name,))
    assert (trained(said), restored(said)) == ([], ["kd/0"])


def test_a_copy_without_times_and_records_trains_nothing(finished, tmp_path):
    fresh = without_records(finished, tmp_path / "fresh")
    said = fresh.run("table", cores=2)
    assert trained(said) == []
    assert fresh.bits() == finished.bits()


def test_a_copy_without_the_store_trains_nothing(finished, tmp_path):
    fresh = without_records(finished, tmp_path / "fresh")
    shutil.rmtree(fresh.folder / "results/.runs")
    said = fresh.run("kd", "table", files=(temperature(fresh, 8),))
    assert trained(said) == ["kd/0"]
    said = fresh.run("kd", "table")
    assert (trained(said), restored(said)) == ([], ["kd/0"])


def test_a_copy_without_records_and_a_changed_setting_give_the_run_that_is_asked_for(finished, tmp_path):
    fresh = without_records(finished, tmp_path / "fresh")
    name = temperature(fresh, 8)
    settled(fresh)
    assert fresh.plan("table") == {}  # so it is the setting alone
    said = fresh.run("table", files=(name,))
    assert trained(said) == ["kd/0"]
    assert fresh.facts("kd")["settings"]["parameters"]["temperature"] == 8
    again = without_records(fresh, tmp_path / "again")
    settled(again)
    said = again.run("table")
    assert trained(said) == []
    assert again.facts("kd")["settings"]["parameters"]["temperature"] == 4
    tables = [done.folder / "report/demo/table1.csv" for done in (again, finished)]
    rows = [[line.split(",")[:6] for line in path.read_text().splitlines()] for path in tables]
    assert rows[0] == rows[1]


SWEEPS = """
data: {holdout_images: 20}
methods: {control: {epochs: 1}}
sweeps:
  one: {methods: [control], grid: {weight_decay: [0, 5.0e-4]}}
  other: {methods: [control], grid: {weight_decay: [0, 1.0e-3]}}
"""


def test_two_sweeps_of_two_protocols_share_a_cell(done):
    name = done.write("sweeps.yaml", SWEEPS)
    assert len(trained(done.run("control", "--config", "sweep=[one]", files=(name,)))) == 2
    said = done.run("control", "--config", "sweep=[other]", "protocol=other", files=(name,))
    assert len(restored(said)) == 1
    assert len(trained(said)) == 1


FORCED = [
    ("control", "-R", "train_control"),
    ("-f", f"{RESULTS}/control/seed0/run.json"),
    ("control", "-R", f"{RESULTS}/control/seed0/history.csv"),
    ("control", "--forceall"),
]


def test_what_is_forced_is_trained_and_compared(done):
    for options in FORCED:
        said = done.run(*options, python=sys.executable)  # another hash seed than the first run's
        assert trained(said) == ["control/0"], options
        assert re.search(r"^same bits as the stored run \(commit \S+, \d{4}-\d\d-\d\d\)$", done.log("control"), re.M)
        assert len(list(done.folder.glob("results/.runs/control-seed0-*"))) == 1
    shutil.rmtree(done.folder / f"{RESULTS}/control/seed0")
    assert trained(done.run("control")) == []


def test_a_forced_run_that_was_killed_is_trained_to_its_end(done):
    name = done.write("long.yaml", "methods: {control: {epochs: 12}}")
    done.run("control", files=(name,))
    process = done.start("control", "-R", "train_control", files=(name,))
    done.wait_for_epoch("control", 2)
    for pid in done.trainers():  # Snakemake lives on, and removes what the rule declares
        os.kill(pid, signal.SIGKILL)
    assert process.wait(300) != 0
    said = done.run("control", files=(name,))
    assert trained(said) == ["control/0"]
    assert "resumed after epoch" in said
    assert "same bits as the stored run" in said


def test_what_finished_runs_lost_is_put_back_before_the_jobs_are_planned(done):
    weights, history = (
        done.folder / RESULTS / name for name in ("teacher/seed0/weights.safetensors", "kd/seed0/history.csv")
    )
    before, times = files(done.folder), [path.stat().st_mtime_ns for path in (weights, history)]
    for options, edited in (((), ""), (("table",), "by an editor\n")):
        weights.unlink()
        history.unlink()
        if edited:
            history.write_text(edited)
        assert "restored" not in done.run("-n", *options)  # a dry run writes nothing
        said = done.run(*options)
        for line in ("teacher seed 0: weights.safetensors", "kd seed 0: history.csv"):
            assert said.count(f"{line} restored from the store\n") == 1
        assert "Nothing to be done" in said
        assert files(done.folder) == before
        assert [path.stat().st_mtime_ns for path in (weights, history)] == times


def test_a_damage_that_the_store_shares_is_mended_by_the_step_that_is_named(done):
    history = done.folder / f"{RESULTS}/kd/seed0/history.csv"
    history.write_text("edited in place\n")
    said = done.run("table", check=False)
    step = f"remove {RESULTS}/kd/seed0 and run the same command: it is restored or trained again"
    assert f"history.csv: differs from what its run.json recorded (SHA-256); {step}\n" in said
    shutil.rmtree(history.parent)
    assert trained(done.run("table")) == ["kd/0"]


def test_settings_edited_by_hand_are_written_again_and_data_from_the_future_dated_back(done):
    before = files(done.folder)
    (settings,) = (done.folder / f"{RESULTS}/kd").glob("settings-*.yaml")
    settings.write_text(settings.read_text().replace("temperature: 4.0", "temperature: 40.0"))
    data = done.folder / "results/data/digits.safetensors"
    os.utime(data, (time.time() + 1e7,) * 2)
    said = done.run()
    assert "results/data/digits.safetensors: its time was in the future; set to the present time\n" in said
    assert trained(said) == []
    assert "kd/0" in restored(said)
    assert files(done.folder) == before


def test_a_killed_start_leaves_no_run_of_other_settings(finished, tmp_path):
    """The settings are written, the run is not trained, and the copy has neither times nor records."""
    name = temperature(finished, 8)
    half = finished.copy(tmp_path / "half")
    (settings,) = (half.folder / f"{RESULTS}/kd").glob("settings-*.yaml")
    half.run("kd", "--until", "write_settings", files=(name,))
    assert not settings.exists()
    fresh = without_records(half, tmp_path / "fresh")
    fresh.write(name, (finished.folder / name).read_text())
    settled(fresh)
    said = fresh.run("kd", files=(name,))
    assert trained(said) == ["kd/0"]
