"""A clone whose git writes other line endings (Windows' default), and files that have them all the same."""

import shutil
import subprocess

import pytest
from helpers.reporting import ROWS, report_settings, write_run

from selfdistill.report.claims import fingerprint
from selfdistill.report.logs import read_rows
from selfdistill.system.failures import BAD_DATA

FILES = (
    "scripts/set_up.sh",
    "workflow/claims.yaml",
    "workflow/published/kd/seed0/history.csv",
    "report/quick/curves_loss.png",
)


@pytest.mark.parametrize("setting", ["true", "input"])
def test_a_clone_has_the_same_bytes_whatever_autocrlf_says(repository, tmp_path, setting):
    git = ["git", "-C", str(tmp_path), "-c", f"core.autocrlf={setting}"]
    subprocess.run([*git, "init", "-q"], check=True)
    for name in (".gitattributes", *FILES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / name, tmp_path / name)
    subprocess.run([*git, "add", "."], check=True)
    for name in FILES:
        (tmp_path / name).unlink()
    subprocess.run([*git, "checkout", "-q", "--", "."], check=True)
    assert [(tmp_path / name).read_bytes() == (repository / name).read_bytes() for name in FILES] == [True] * len(FILES)


def test_claims_with_other_line_endings_are_not_amended(repository, tmp_path):
    text, claims = (repository / "workflow/claims.yaml").read_bytes(), tmp_path / "claims.yaml"
    shutil.copytree(repository / "workflow/protocols", tmp_path / "protocols")
    claims.write_bytes(text.replace(b"\n", b"\r\n"))
    assert fingerprint(claims) == fingerprint(repository / "workflow/claims.yaml")
    claims.write_bytes(text + b"\n")
    assert fingerprint(claims) != fingerprint(repository / "workflow/claims.yaml")


def test_logs_with_other_line_endings_are_those_that_were_recorded(tmp_path, refused):
    write_run(tmp_path, "kd", 0, [0.1, 0.2])
    settings, path = report_settings(rows=ROWS[1:2]), tmp_path / "kd/seed0/history.csv"
    (before,) = read_rows(settings, tmp_path).values()
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (after,) = read_rows(settings, tmp_path).values()
    assert after[0].history.equals(before[0].history)
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.3"))
    with refused(BAD_DATA, "differs from what its run.json recorded"):
        read_rows(settings, tmp_path)
