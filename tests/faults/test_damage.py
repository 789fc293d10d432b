"""Damage: flips, cuts and swaps of every kind of file are noticed before anything is made from it.

What becomes of a run whose states are damaged or gone: tests/training/test_checkpoint.py.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import sha256, train
from helpers import warm

from selfdistill.config.report_settings import ReportRow
from selfdistill.config.schema import Archive
from selfdistill.data.download import obtain_archive
from selfdistill.data.prepared import read_prepared
from selfdistill.models.weights import decode, read_weights
from selfdistill.report.logs import read_run
from selfdistill.system.failures import BAD_DATA, Failure
from selfdistill.system.files import read_sealed, sha256_of
from selfdistill.training import states
from selfdistill.training.checkpoint import checkpoints, load_state
from selfdistill.training.states import NAME, epoch_of


def flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.choice([0, len(content) - 1, chance.randrange(len(content))])]


def swap(content: bytes, chance: random.Random) -> bytes:
    """Swap two pieces of the content."""
    size = chance.choice([1, 4, 16])
    first, second = sorted(chance.randrange(len(content) - size) for _ in range(2))
    if second - first < size:
        return content
    a, b = content[first : first + size], content[second : second + size]
    return content[:first] + b + content[first + size : second] + a + content[second + size :]


def blank(content: bytes, chance: random.Random) -> bytes:
    """A page of zeros, as a lost write leaves it."""
    at = chance.randrange(len(content))
    return content[:at] + bytes(min(64, len(content) - at)) + content[at + 64 :]


def append(content: bytes, chance: random.Random) -> bytes:
    return content + content[-chance.randrange(1, 20) :]


def damaged(path: Path, count: int) -> list[bytes]:
    """`count` different contents, none of which is the file's."""
    content = path.read_bytes()
    chance, found = random.Random(sha256(content)), set()
    while len(found) < count:
        other = chance.choice([flip, flip, flip, cut, swap, blank, append])(content, chance)
        found |= {other} - {content}
    return sorted(found)


@pytest.fixture(scope="module")
def run_folder(digits, tmp_path_factory) -> Path:
    """A finished run with its states."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert warm.run(train("self_distillation", digits)(folder), folder) == 0
    return folder


def refusal(read: Callable[[Path], object]) -> Callable[[Path], bool]:
    """Whether reading a file is refused by its name."""

    def noticed(path: Path) -> bool:
        try:
            read(path)
        except Failure as failure:
            return failure.code == BAD_DATA and str(path) in str(failure)
        return False

    return noticed


def csv_of(run: Path) -> Callable[[Path], bool]:
    """A CSV is noticed by the report that reads its run, whatever the numbers look like."""
    settings = read_sealed(run / "run.json")["settings"]
    facts = {"method": "self_distillation", "label": "SD", "seeds": [0], "epochs": settings["epochs"]}
    row = ReportRow.model_validate(facts | {"settings": settings, "teachers": [[]]})
    assert read_run(run, 0, row).seed == 0  # whole, it is taken
    return refusal(lambda path: read_run(path.parent, 0, row))


def falls_back(state: Path, identity: dict, environment: dict) -> Callable[[Path], bool]:
    """Whether a damaged newest state is named, and the one before it taken; how often one is saved depends on time."""
    before = epoch_of(checkpoints(state)[1])

    def noticed(path: Path) -> bool:
        said = []
        found = load_state(state, identity, environment, "strict", said.append)
        return found.epoch == before and len(said) == 1 and str(path) in said[0]

    return noticed


def archive_of(path: Path) -> Callable[[Path], object]:
    archive = Archive(path=str(path), sha256=sha256_of(path))
    return lambda path: obtain_archive([archive], path.parent)


@pytest.fixture
def kinds(run_folder, digits, tmp_path) -> dict[str, tuple[Path, int, Callable[[Path], bool]]]:
    """Each kind of file: a copy that may be damaged, how often, and who notices."""
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    run = folder / "self_distillation" / "seed0"
    data = tmp_path / "digits.safetensors"
    shutil.copy(digits, data)
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(random.Random(0).randbytes(50_000))
    facts = read_sealed(run / "run.json")
    keys = ("settings", "seed", "data_sha256", "teacher_sha256", "code_fingerprint")
    state = folder / ".state" / facts["state"]
    states = falls_back(state, {key: facts[key] for key in keys}, facts["environment"])
    sealed = refusal(read_sealed)
    tensors = refusal(lambda path: decode(path, path.read_bytes()))
    return {
        "archive": (archive, 120, refusal(archive_of(archive))),
        "prepared data": (data, 120, refusal(lambda path: read_prepared(path, "digits"))),
        "checkpoint": (checkpoints(state)[0], 200, states),
        "weights": (run / "weights.safetensors", 150, refusal(read_weights)),
        "auxiliary": (run / "auxiliary.safetensors", 60, tensors),
        "test logits": (run / "test_logits.safetensors", 120, tensors),
        "history.csv": (run / "history.csv", 120, csv_of(run)),
        "timing.csv": (run / "timing.csv", 80, csv_of(run)),
        "run.json": (run / "run.json", 120, sealed),
        "evaluation.json": (run / "evaluation.json", 80, sealed),
    }


def unnoticed(path: Path, count: int, noticed: Callable[[Path], bool]) -> list[bytes]:
    """The damaged versions that were accepted as intact; the file is restored afterwards."""
    whole, missed = path.read_bytes(), []
    for content in damaged(path, count):
        path.write_bytes(content)
        if not noticed(path):
            missed.append(content)
    path.write_bytes(whole)
    return missed


def test_every_damage_is_noticed(kinds, figure):
    total, missed = 0, {}
    for kind, (path, count, noticed) in kinds.items():
        found = unnoticed(path, count, noticed)
        total += count
        missed |= {kind: found} if found else {}
    wrong = sum(map(len, missed.values()))
    figure("damaged files", f"{total - wrong}/{total} noticed ({', '.join(kinds)})")
    assert total >= 1000
    assert {kind: (len(found), found[0][:200]) for kind, found in missed.items()} == {}


def test_a_loader_without_checksums_is_caught(kinds, monkeypatch):
    path, _, noticed = kinds["checkpoint"]
    monkeypatch.setattr(states, "sha256_bytes", lambda content: NAME.fullmatch(path.name)[2])

    def tolerant(path: Path) -> bool:
        try:
            return noticed(path)
        except Exception:  # without its checksum, a damaged key or number fails wherever it is read
            return True

    assert unnoticed(path, 60, tolerant)


def test_a_state_belongs_to_its_owner_alone(half):
    (state,) = half.glob(".state/*/")
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}
