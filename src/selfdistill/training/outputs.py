"""The files of a finished run. run.json is written last and has the SHA-256 of the others."""

from pathlib import Path
from typing import Any

from torch import Tensor

from selfdistill.columns import TIMING, history_columns, to_csv
from selfdistill.config.settings import RunSettings
from selfdistill.evaluation.evaluate import Evaluation
from selfdistill.models.network import Network
from selfdistill.models.weights import encode, encode_weights
from selfdistill.system.files import sha256_bytes, sha256_of, write_atomically, write_sealed
from selfdistill.training.machine import Machine
from selfdistill.training.progress import Progress
from selfdistill.training.teacher import vouch
from selfdistill.training.teaching import Teaching


def write_outputs(
    folder: Path,
    settings: RunSettings,
    seed: int,
    network: Network,
    progress: Progress,
    evaluation: Evaluation,
    teaching: Teaching | None,
    machine: Machine,
    record: dict[str, Any],
) -> None:
    """Write the run's declared outputs. record: the content of run.json except their SHA-256."""
    facts = _facts(settings, seed, progress, evaluation)
    weights = encode_weights(network.kept(), settings.network, facts)
    answers: dict[str, Tensor] = evaluation.tensors()
    summary = evaluation.summary() | vouch(machine, sha256_bytes(weights))
    if teaching is not None:
        answers["teacher_logits"] = teaching.answers.logits
        summary["teacher"] = teaching.describe(evaluation)
    contents: dict[str, bytes | str] = {
        "history.csv": to_csv(history_columns(progress.history), progress.history),
        "timing.csv": to_csv(list(TIMING), progress.timing),
        "predictions.csv": evaluation.predictions(),
        f"{settings.data.evaluated}_logits.safetensors": encode(answers, facts),
        "weights.safetensors": weights,
    }
    if len(network.heads):
        contents["auxiliary.safetensors"] = encode(network.heads.state_dict(), facts | {"heads": settings.heads})
    for name, content in contents.items():
        write_atomically(folder / name, content)
    write_sealed(folder / "evaluation.json", summary)
    names = [*contents, "evaluation.json"]
    write_sealed(folder / "run.json", record | {"outputs": {name: sha256_of(folder / name) for name in names}})


def _facts(settings: RunSettings, seed: int, progress: Progress, evaluation: Evaluation) -> dict[str, Any]:
    """The metadata of the files with tensors."""
    data = settings.data
    facts = {
        "method": settings.method,
        "seed": seed,
        "mean": data.mean,
        "std": data.std,
        "dataset": data.dataset,
        "correct": evaluation.correct,
        "images": evaluation.images,
        "kept_epoch": progress.epoch if progress.best is None else progress.best.epoch,
    }
    held_out = {"train_images": data.train_images, "holdout_images": data.holdout_images}
    return facts | (held_out if data.holdout_images else {})
