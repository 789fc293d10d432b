"""docs/own-artefact.md, done as it stands on a copy of the source."""

import os
import re
import shutil
import subprocess
import sys

import yaml
from helpers.pages import add, fences
from helpers.paper import is_quoted, needs_paper
from helpers.reporting import ROOT

from selfdistill.report.steps import STEPS

BLOCKS = fences(ROOT / "docs/own-artefact.md")

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
    write(results, step)
"""


def test_the_page_adds_each_kind_of_artefact(tmp_path):
    for name in ("src", "workflow"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "published"))
    shutil.copy(ROOT / "config.yaml", tmp_path)
    for block in BLOCKS:
        if block.language in ("python", "yaml", "diff"):
            add(block, tmp_path)
    (command,) = [text for language, _, text in BLOCKS if language == "sh"]
    protocol, logs, again = re.search(r"protocols/(\w+)\.yaml --config logs=(\S+) -R (.*)", command).groups()
    assert {*again.split(), "sweep", "report"} == {*STEPS}
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"}
    for one, folder in {protocol: logs, "published": "workflow/published"}.items():
        arguments = [sys.executable, "-c", MAKE, one, str(ROOT / folder)]
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for _, title, text in [block for block in BLOCKS if block[0] == "text"]:
        made = (tmp_path / title).read_text()
        assert [line for line in text.splitlines() if line not in made] == [], made
    assert all((tmp_path / "report" / protocol / f"curves_gap.{end}").stat().st_size > 1000 for end in ("pdf", "png"))


@needs_paper
def test_the_page_quotes_the_paper():
    claims = [claim for block in BLOCKS if block.language == "yaml" for claim in yaml.safe_load(block.text)]
    assert [claim["id"] for claim in claims if not is_quoted(claim["quote"], claim["section"])] == []
