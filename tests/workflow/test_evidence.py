"""The committed evidence: every report comes out of its logs, byte for byte."""

import shutil
from pathlib import Path

import pytest
from helpers.snakemake_runs import ROOT, Workflow

REPORTS = ROOT / "report"
COMMITTED = ("quick", "quick_arms", "overnight")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    """The reports made again in a fresh checkout that has the runs' folders alone."""
    workflow = Workflow.make(tmp_path_factory.mktemp("evidence") / "checkout")
    (workflow.folder / "tiny.yaml").write_text("{}\n")
    for protocol in COMMITTED:
        for folder in (path for path in (REPORTS / protocol).iterdir() if list(path.glob("seed*"))):
            shutil.copytree(folder, workflow.folder / "report" / protocol / folder.name)
        text = workflow.run("--config", f"logs=report/{protocol}", protocol=protocol, cores=2)
        assert "rule train_" not in text
        assert "rule download_data" not in text
    workflow.run(protocol="published", cores=2)
    return workflow.folder / "report"


def tables(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for end in ("csv", "md", "tex")
        for path in folder.rglob(f"*.{end}")
        if not any(part.startswith("seed") for part in path.parts)
    )


@pytest.mark.parametrize("protocol", [*COMMITTED, "published"])
def test_a_report_is_rebuilt_byte_for_byte(protocol, rebuilt):
    ours, committed = rebuilt / protocol, REPORTS / protocol
    assert tables(ours) == tables(committed)
    assert len(tables(ours)) >= 6
    different = [name for name in tables(ours) if (ours / name).read_bytes() != (committed / name).read_bytes()]
    assert different == []
    pictures = {path.relative_to(committed) for path in committed.rglob("*.png")}
    assert {path.relative_to(ours) for path in ours.rglob("*.png")} == pictures
