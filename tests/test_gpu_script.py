"""scripts/gpu.sh around a Snakemake that is pretended: what it carries in, and what it packs."""

import hashlib
import shutil
import subprocess
import tarfile

import pytest

RUN = "results/demo/kd/seed0"
STATE = "results/demo/.state/kd-seed0-1"
PRETENDED = f"""#!/bin/sh
echo "$*" >> calls
case "$2" in
snakemake)
  mkdir -p {RUN} {STATE} results/demo/logs report/demo
  echo data > results/data/digits.safetensors
  echo weights > {RUN}/weights.safetensors
  echo rows > {RUN}/history.csv
  for epoch in 0001 0002; do echo $epoch > {STATE}/ckpt-$epoch-0.safetensors; done
  echo 'epoch 2/8  loss 1.0  7.5 s' > results/demo/logs/kd-seed0.txt
  echo '| Table I |' > report/demo/table1.md
  exit 75 ;;
esac
"""


@pytest.fixture
def machine(tmp_path, repository):
    """A copy of what the script needs, whose python only pretends, and a folder of what was carried."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(repository / "scripts" / "gpu.sh", tmp_path / "scripts")
    (tmp_path / "python").write_text(PRETENDED)
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "carried").mkdir()
    (tmp_path / "config.yaml").write_text(f"sha256: {hashlib.sha256(b'archive').hexdigest()}\n")
    return tmp_path


def lend(machine, *arguments):
    """Run the script there."""
    command = ["sh", machine / "scripts" / "gpu.sh", machine / "carried", "1", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(machine / "python")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def packed(machine, pattern):
    """The names in what it packed."""
    pieces = sorted((machine / "packed").glob(pattern))
    whole = machine / "whole"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    with tarfile.open(whole) as archive:
        return [name for name in archive.getnames() if "." in name.rsplit("/", 1)[-1]]


def test_results_come_back_without_data_and_older_states(machine):
    ended = lend(machine, "--configfile", "my.yaml")
    assert ended.returncode == 75
    assert "| Table I |" in ended.stdout
    assert "kd-seed0: epoch 2/8" in ended.stdout
    # A target after --resources would be taken for one.
    command = next(line for line in (machine / "calls").read_text().splitlines() if "snakemake" in line)
    assert command.index("--resources") < command.index("--cores") < command.index("--configfile")
    names = packed(machine, "results.tar.*")
    assert f"{RUN}/weights.safetensors" in names
    assert f"{STATE}/ckpt-0002-0.safetensors" in names
    assert not [name for name in names if "ckpt-0001" in name or "digits" in name]
    small = packed(machine, "evidence.tar.gz")
    assert {f"{RUN}/history.csv", "report/demo/table1.md"} <= set(small)
    assert not [name for name in small if name.endswith(".safetensors")]


@pytest.mark.parametrize("linked", [False, True])
def test_what_was_packed_is_where_it_was_the_next_time(linked, machine, tmp_path):
    """Also where results/ is a link."""
    results = tmp_path / "scratch" if linked else machine / "results"
    results.mkdir()
    (results / "old").symlink_to("nowhere")
    if linked:
        (machine / "results").symlink_to(results)
    lend(machine)
    assert f"{STATE}/ckpt-0002-0.safetensors" in packed(machine, "results.tar.*")
    assert f"{RUN}/history.csv" in packed(machine, "evidence.tar.gz")
    (piece,) = (machine / "packed").glob("results.tar.*")
    shutil.move(piece, machine / "carried")
    shutil.rmtree(results)
    if linked:
        results.mkdir()
    (machine / "python").write_text("#!/bin/sh\n")
    lend(machine)
    assert (results / "demo/.state/kd-seed0-1/ckpt-0002-0.safetensors").read_text() == "0002\n"


def archive_of(machine, content):
    """Where the workflow looks for an archive that was carried."""
    return machine / "results/data/archives" / f"{hashlib.sha256(content).hexdigest()[:16]}-cifar.tar.gz"


def test_an_archive_in_pieces_is_put_where_the_workflow_looks_and_starts_nothing_if_it_lacks_one(machine):
    (machine / "carried/cifar.tar.gz.part-aa").write_bytes(b"arch")
    ended = lend(machine)
    assert (ended.returncode, "SHA-256 differs" in ended.stderr) == (65, True)
    assert not (machine / "calls").exists()
    (machine / "carried/cifar.tar.gz.part-ab").write_bytes(b"ive")
    lend(machine)
    assert archive_of(machine, b"archive").read_bytes() == b"archive"


def test_an_archive_may_be_one_of_the_users_own_file(machine):
    (machine / "carried/cifar.tar.gz.part-aa").write_bytes(b"mirror")
    digest = hashlib.sha256(b"mirror").hexdigest()
    (machine / "mine.yaml").write_text(f"data: {{archives: [{{path: mirror.tar.xz, sha256: {digest}}}]}}\n")
    assert lend(machine, "--configfile", "mine.yaml").returncode == 75
    assert archive_of(machine, b"mirror").is_file()


def test_carried_wheels_are_installed_without_a_network(machine):
    (machine / "carried" / "a-1-py3-none-any.whl").touch()
    lend(machine)
    first = (machine / "calls").read_text().splitlines()[0]
    assert "pip install" in first
    assert "--no-index" in first
    assert first.endswith("a-1-py3-none-any.whl")
