"""The workflow stays quick with many runs; times are bounds that a busy machine still keeps."""

import subprocess
import sys
import time

import pytest
import yaml

pytestmark = pytest.mark.slow
NO_OP = 2.5  # seconds


def sweep_of(runs: int, repository) -> str:
    """A configuration of eight methods, two of which have a teacher, with so many runs beside the teachers'."""
    base = yaml.safe_load((repository / "config.yaml").read_text())["methods"]
    methods = {}
    for number in range(8):
        block = base[("kd", "self_distillation", "control", "kd")[number % 4]]
        methods[f"m{number}"] = {key: value for key, value in block.items() if key != "published"} | {
            "label": "M",
            "batch_size": 20,
        }
    return yaml.safe_dump({"seeds": list(range(runs // 8)), "rows": list(methods), "methods": methods})


@pytest.mark.parametrize(("runs", "bound"), [(800, 15), (1000, 30)])
def test_a_dry_run_of_many_runs_is_planned_in_seconds(runs, bound, finished, repository):
    name = finished.write("many.yaml", sweep_of(runs, repository))
    start = time.monotonic()
    said = finished.run("-n", files=(name,))
    seconds = time.monotonic() - start
    assert f"train_kd_student             {runs // 2}" in said
    assert seconds < bound


def test_a_run_with_nothing_to_do_costs_little_more_than_snakemake_itself(finished, tmp_path):
    (tmp_path / "Snakefile").write_text("rule all:\n    shell: 'true'\n")
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1"]

    def fastest(run):
        def timed():
            start = time.monotonic()
            run()
            return time.monotonic() - start

        return min(timed() for _ in range(3))

    empty = fastest(lambda: subprocess.run(command, cwd=tmp_path, check=True, capture_output=True))
    assert fastest(finished.run) - empty < NO_OP


def test_planning_imports_no_torch(finished):
    code = "import sys, snakemake.cli as s\ntry: s.main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    words = finished.command("-n")[3:]
    command = [sys.executable, "-c", code, *words]
    run = subprocess.run(command, cwd=finished.folder, env=finished.environment, capture_output=True, text=True)
    assert run.stdout.strip().endswith("False"), run.stdout + run.stderr
