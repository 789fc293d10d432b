"""docs/own-artefact.md, done as it stands on a copy of the source."""

import os
import re
import shutil
import subprocess
import sys

from helpers.reporting import ROOT

PAGE = (ROOT / "docs/own-artefact.md").read_text()
# What the page's command does with the runs of `logs`, without Snakemake: every step of the report.
MAKE = """
import sys
from pathlib import Path
from selfdistill.config.load import load_config
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.report.artefacts import write
from selfdistill.report.results import Results
from selfdistill.report.steps import STEPS
protocol, logs = sys.argv[1:]
config = load_config([Path("config.yaml"), Path(f"workflow/protocols/{protocol}.yaml")])
settings, folder = ReportSettings.model_validate(report_settings(config)), Path("report") / protocol
results = Results(settings, Path(logs), folder)
for step in STEPS:
    write(settings, step, results, folder)
"""


def fences():
    """The code blocks of the page: language, title, text."""
    found = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [
        (language, options.strip().removeprefix('title="').removesuffix('"'), text) for language, options, text in found
    ]


def add(folder, title, text):
    """A new file, the end of one, or lines behind the one that has a text."""
    name, _, behind = title.partition(", behind ")
    path = folder / name
    before = path.read_text() if path.exists() else ""
    if behind:
        (line,) = [line for line in before.splitlines(keepends=True) if behind in line]
        added = "".join(" " + line.removeprefix("+") for line in text.splitlines(keepends=True))
        path.write_text(before.replace(line, line + added))
    else:
        path.write_text(f"{before}\n\n{text}" if before else text)


def test_the_page_adds_each_kind_of_artefact(tmp_path):
    for name in ("src", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "published"))
    shutil.copy(ROOT / "config.yaml", tmp_path)
    blocks = fences()
    for language, title, text in blocks:
        if language in ("python", "yaml", "diff"):
            add(tmp_path, title, text)
    (command,) = [text for language, _, text in blocks if language == "sh"]
    protocol, logs = re.search(r"protocols/(\w+)\.yaml --config logs=(\S+)", command).groups()
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", MAKE, protocol, str(ROOT / logs)]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for _, title, text in [block for block in blocks if block[0] == "text"]:
        made = (tmp_path / title).read_text()
        assert [line for line in text.splitlines() if line not in made] == [], made
    assert all((tmp_path / "report" / protocol / f"curves_gap.{end}").stat().st_size > 1000 for end in ("pdf", "png"))
