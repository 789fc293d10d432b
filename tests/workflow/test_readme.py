"""Each command of the README as it is printed there, on a configuration that is small; what takes hours as a plan."""

import os
import re

import pytest
import yaml
from helpers.snakemake_runs import OUTSIDE_MAKE, ROOT, TINY, Workflow
from helpers.warm_python import warm_python

from selfdistill.config.reading import merge

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTROLLED = "snakemake --cores 1 --configfile workflow/protocols/controlled.yaml"
HOURS = ("make quick", "make overnight", "make replicate", CONTROLLED)
IN_CI = ("make demo", "make test")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """In the order of the page; those of the table stand where it does not matter."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    inline = re.findall(r"^\| `(make [^`]+)`", README, re.MULTILINE) + re.findall(
        r"`(make estimate|(?:python -m|snakemake) [^`]+)`", README
    )
    return [re.sub(r"\s+#.*", "", line) for line in lines] + inline


@pytest.fixture
def checkout(tmp_path) -> Workflow:
    """A checkout that is set up, under a path with blanks."""
    workflow = Workflow.make(tmp_path / "a path with blanks")
    python = f'exec "{warm_python()}"'
    workflow.add_make(f'{python} "$@"')
    workflow.add_program("bin/python", f'{python} "$@"')
    workflow.add_program("bin/snakemake", f'{python} -m snakemake "$@"')
    return workflow


@pytest.fixture
def small(checkout) -> Workflow:
    """The same, whose config.yaml trains small networks on few digits."""
    layers = [ROOT / "config.yaml", ROOT / "workflow/protocols/demo.yaml"]
    config: dict = {}
    for text in [*(path.read_text() for path in layers), TINY, "{protocol: paper, data: {train_images: 130}}"]:
        config = merge(config, yaml.safe_load(text))
    checkout.write("config.yaml", yaml.safe_dump(config, sort_keys=False))
    checkout.write("mine.yaml", next(block for block in blocks("yaml") if "# mine.yaml" in block))
    return checkout


def run(workflow: Workflow, command: str) -> str:
    """What a command prints; it must end well."""
    environment = {"PATH": f"{workflow.folder / 'bin'}:{os.environ['PATH']}"}
    done = workflow.process([*OUTSIDE_MAKE, "sh", "-c", command], **environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_commands_that_are_run_elsewhere_are_run_there():
    ci = (ROOT / ".ci/run").read_text().splitlines()
    assert set(IN_CI) <= {*ci} & {*commands()}


def test_what_takes_hours_is_planned_and_what_takes_seconds_is_done(checkout):
    for command in commands():
        if command in HOURS:
            making = run(checkout, f"make -n {command[5:]}") if command.startswith("make") else command
            (line,) = [line for line in making.splitlines() if "snakemake --cores" in line]
            assert re.search(r"^train_\w+ +\d+$", run(checkout, f"{line} -n"), re.MULTILINE)
        elif command.startswith("make ") and command not in IN_CI:
            run(checkout, command)
    assert (checkout.folder / "report/published/table1.tex").is_file()


def test_every_command_on_a_small_configuration_trains_what_the_readme_says(small):
    said = {}
    for command in commands():
        if command not in HOURS and not command.startswith("make "):
            said[command] = run(small, command)
    one, forced, seeds, planned, mine, *_ = said.values()
    assert trained(one) == {"teacher seed 0", "kd seed 0"}
    assert trained(forced) == {"kd seed 0"}
    assert "same bits as the stored run" in forced
    second = {f"{method} seed 1" for method in ("teacher", "kd", "self_distillation", "control")}
    assert trained(seeds) == {"self_distillation seed 0", "control seed 0"} | second
    assert "kd: temperature 4.0 -> 8.0; 1 finished run is replaced" in planned
    assert re.search(r"^train_kd_student +1$", planned, re.MULTILINE)
    assert len(planned.splitlines()) <= 20
    assert trained(mine) == {"kd_warm seed 0"}
    assert "KD, T = 8" in (small.folder / "report/paper/table1.csv").read_text()


def trained(said: str) -> set[str]:
    """The runs of which a last epoch was printed."""
    return {match[1] for match in re.finditer(r"(\w+ seed \d)  epoch +2/2 ", said)}
