"""A run as a folder to hand on: weights, model card, and a program that loads them with torchvision alone."""

from pathlib import Path

from selfdistill.config.datasets import DATASETS
from selfdistill.config.records import without_protocol
from selfdistill.config.settings import RunSettings
from selfdistill.models.weights import read_weights
from selfdistill.system.failures import CONFIGURATION, Failure
from selfdistill.system.files import read_sealed, sha256_bytes, write_atomically
from selfdistill.tools.card import Evidence, model_card
from selfdistill.tools.example import example

WEIGHTS = ("weights.safetensors", "auxiliary.safetensors")
CARD, PROGRAM = "MODEL_CARD.md", "example.py"


def export(run: Path, output: Path, licence: str) -> list[str]:
    """Write the folder; the names of its files.

    run: a run's folder, .../<protocol>/<method>/seed<n>. The weights are its own, byte for byte.
    Raises: Failure 65 for a run whose files are not those that its run.json vouches for, 78 for its own folder.
    """
    if output.resolve() == run.resolve():
        raise Failure("--output", "expected another folder than the run's", code=CONFIGURATION)
    facts, evaluation = read_sealed(run / "run.json"), read_sealed(run / "evaluation.json")
    try:
        settings = RunSettings.model_validate(without_protocol(dict(facts["settings"])))
        vouched = dict(facts["outputs"])
        names = [name for name in WEIGHTS if name in vouched]
        contents = {name: _vouched(run / name, vouched[name]) for name in ("weights.safetensors", *names)}
        _vouched(run / "evaluation.json", vouched["evaluation.json"])
        listed = vouched.get("predictions.csv")
    except (KeyError, TypeError, ValueError) as error:
        what = f"is no record of a run of this project ({type(error).__name__})"
        raise Failure(run / "run.json", what, "rerun the run's training rule") from error
    _, network, *_ = read_weights(run / "weights.safetensors")
    if network != settings.network:
        raise Failure(run / "weights.safetensors", "is no network of the settings in run.json")
    dataset, data = DATASETS[settings.data.dataset], settings.data
    predictions = _vouched(run / "predictions.csv", listed).decode() if listed else None
    program = example(PROGRAM, network, dataset.classes, data.mean, data.std)
    files = {name: sha256_bytes(content) for name, content in contents.items()}
    card = model_card(
        Evidence(run.resolve().parents[1].name, facts, evaluation, predictions, files),
        settings,
        dataset,
        licence,
        program,
    )
    for name, content in (contents | {PROGRAM: program, CARD: card}).items():
        write_atomically(output / name, content)
    return [*contents, PROGRAM, CARD]


def _vouched(path: Path, expected: str) -> bytes:
    """A file's content, which must have the SHA-256 that run.json records."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(path, f"cannot be read ({error.strerror})") from error
    found = sha256_bytes(content)
    if found != expected:
        what = f"SHA-256 differs from its run.json (expected {expected}, got {found})"
        raise Failure(path, what, "rerun the run's training rule")
    return content
