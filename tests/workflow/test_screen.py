"""What a person sees of the real workflow: piped, on a terminal, at Ctrl-C, at an error."""

import re

import pytest
from helpers.snakemake_runs import Workflow
from helpers.terminals import Terminal, interrupt

LINE = re.compile(r"(\w+) seed 0  epoch +(\d+)/(\d+)  loss \d+\.\d\d  test \d+\.\d %  \d+\.\d s(  left [\d:]+)?")
FIRST = "Using workflow specific profile profiles/default for setting default command line arguments."
TWO = "rows: [self_distillation, control]\nmethods: {self_distillation: {epochs: 4}, control: {epochs: 4}}\n"
ENDLESS = "rows: [control]\nmethods: {control: {epochs: 9999}}\n"


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    return Workflow.make(tmp_path / "w")


def command(workflow: Workflow, *words: str, **options) -> list[str]:
    """As a person gives it: without the option by which the tests see Snakemake's own text."""
    return [word for word in workflow.command(*words, **options) if word != "--printshellcmds"]


def test_make_demo_in_a_pipe_is_short_and_ends_with_table_i(workflow):
    """Its epochs, of fewer images."""
    workflow.add_make()
    workflow.write("few.yaml", "data: {train_images: 100}\ndefaults: {width: 8}\n")
    done = workflow.make_target("demo", "CONFIG=few.yaml")
    text = done.stderr + done.stdout
    lines = text.splitlines()
    assert done.returncode == 0, text
    assert len(lines) <= 60, text
    assert [line for line in lines if len(line) > 120] == []
    assert not re.search(r"[\x1b\r]", text)
    epochs = [match.groups() for line in lines if (match := LINE.fullmatch(line))]
    runs = {(name, int(last)) for name, _, last, _ in epochs}
    assert {name for name, _ in runs} == {"teacher", "kd", "self_distillation", "control"}
    assert len(epochs) == sum(last for _, last in runs)
    assert all((left is None) == (epoch == last) for _, epoch, last, left in epochs)
    (start,) = [number for number, line in enumerate(lines) if re.match(r"done in \d+:\d\d: demo, 4 runs on ", line)]
    screen = "\n".join(lines[start:])
    assert re.search(r"^ResNet18 \(Student, KD\) +\d+\.\d\d +[+-]?\d+\.\d\d +0h 00m \d\ds$", screen, re.MULTILINE)
    assert re.search(r"^page +report/demo/report\.html$", screen, re.MULTILINE)
    assert lines[-1].endswith("make demo CONFIG=t8.yaml")


def test_on_a_terminal_two_runs_have_whole_lines_and_a_bar_each(workflow):
    files = (workflow.write("two.yaml", TWO),)
    terminal = Terminal(columns=80)
    given = command(workflow, "table", cores=2, files=files)
    process = terminal.start(given, workflow.folder, **workflow.environment | {"NO_COLOR": "1"})
    terminal.read()
    assert process.wait() == 0, terminal.text
    shown, drawn = terminal.shown(), re.sub(r"\x1b\[[\d;]*m", "", terminal.text)
    found = [LINE.fullmatch(line) for line in shown if " seed 0  epoch " in line]
    assert None not in found, terminal.text
    said = sorted((match[1], match[2]) for match in found)  # each whole, and on a line of its own
    expected = [(name, str(epoch)) for name in ("control", "self_distillation") for epoch in (1, 2, 3, 4)]
    assert said == expected, terminal.text
    assert not [line for line in shown if line[0] in "╭│╰"]  # the bars are gone
    for name in ("control", "self_distillation"):
        assert re.search(rf"{name} seed 0  epoch \d/4(  left \d:\d\d)? +━", drawn)
    assert re.search(r"─ \d of 8 epochs(, (about|at least) \d+ (s|min) left|, all runs done)? ─", drawn)


@pytest.mark.parametrize("piped", [True, False])
def test_ctrl_c_is_one_line(piped, workflow, tmp_path):
    given = command(workflow, "control", files=(workflow.write("endless.yaml", ENDLESS),))
    if piped:
        with (tmp_path / "said.txt").open("w") as file:
            process = workflow.launch(given, file)
    else:
        terminal = Terminal(columns=300)
        process = terminal.start(given, workflow.folder, **workflow.environment)
        terminal.read(r"epoch +2/9999  loss")
    workflow.wait_for_epoch("control", 2)
    interrupt(process)
    if not piped:
        terminal.read()
    assert process.wait(600) == 1
    lines = (tmp_path / "said.txt").read_text().splitlines() if piped else terminal.shown()
    assert not [line for line in lines if len(line) > 250 or re.search("Error|Traceback|failed|[╭│╰]", line)]
    again = re.escape(lines[-1].split("to resume: ")[1])
    assert re.fullmatch(rf"stopped: control seed 0 \(epoch \d+ of 9999 is saved\); to resume: {again}", lines[-1])
    assert again.replace("\\", "").endswith(" ".join(given[3:]))
    before = lines[-2]
    assert LINE.fullmatch(before), before
    assert workflow.trainers() == []


def test_an_archive_that_cannot_be_had_is_said_once_with_the_way_to_go_on(workflow):
    mine = "data: {dataset: cifar10, train_images: 100, archives: [{path: absent.tar.gz, sha256: %s}]}" % ("0" * 64)
    done = workflow.process(command(workflow, "data", files=(workflow.write("mine.yaml", mine),)))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        FIRST,
        "download_data failed (log: results/data/logs/cifar10.txt):",
        "error: data.archives: no archive is available (absent.tar.gz: no such file)",
        f"to resume: add {{path: WHERE-YOU-PUT-IT, sha256: {'0' * 64}}}"
        " to data.archives in your own file (--configfile my.yaml)",
    ]


def test_a_job_limit_per_second_keeps_no_workflow_from_ending(workflow):
    """Snakemake ends when the second is over; the limit is for clusters."""
    said = workflow.run("data", "--verbose")
    assert "Waiting for running jobs to complete" in said  # so its scheduler tells what it does
    assert "Submitting maximum" not in said
