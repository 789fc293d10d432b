"""The workflow stays quick with many runs; times are of the processor, so that a busy machine keeps the bounds."""

import resource
import subprocess
import sys
from collections.abc import Callable

import yaml

NO_OP = 2.5  # seconds


def seconds(run: Callable[[], object]) -> float:
    """The processor's time in the commands that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sweep_of(runs: int, repository) -> str:
    """A configuration of eight methods, four of which have a teacher, with so many runs beside the teachers'."""
    base = yaml.safe_load((repository / "config.yaml").read_text())["methods"]
    methods = {}
    for number in range(8):
        block = base[("kd", "self_distillation", "control", "kd")[number % 4]]
        methods[f"m{number}"] = block | {"published": None, "label": f"M{number}", "batch_size": 20}
    return yaml.safe_dump({"seeds": list(range(runs // 8)), "rows": list(methods), "methods": methods})


def test_a_dry_run_of_many_runs_is_planned_in_seconds(finished, repository):
    name, planned = finished.write("many.yaml", sweep_of(800, repository)), []
    assert seconds(lambda: planned.append(finished.run("-n", files=(name,), python=sys.executable))) < 15
    assert "train_kd_student             400" in planned[0]


def test_a_run_with_nothing_to_do_costs_little_more_than_snakemake_itself(finished, tmp_path):
    (tmp_path / "Snakefile").write_text("rule all:\n    shell: 'true'\n")
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1"]
    empty = min(seconds(lambda: subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)) for _ in "123")
    assert min(seconds(lambda: finished.run(python=sys.executable)) for _ in "123") - empty < NO_OP


def test_planning_imports_no_torch(finished):
    code = "import sys, snakemake.cli as s\ntry: s.main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    words = finished.command("-n")[3:]
    run = finished.process([sys.executable, "-c", code, *words])
    assert run.stdout.strip().endswith("False"), run.stdout + run.stderr
