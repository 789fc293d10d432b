"""The files of a finished run, run.json last: it vouches for the others by their SHA-256."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from selfdistill.columns import TIMING, WORK, history_columns, to_csv
from selfdistill.evaluation.evaluate import Evaluation
from selfdistill.models.weights import encode, encode_weights
from selfdistill.system.files import sha256_bytes, sha256_of, write_atomically, write_sealed
from selfdistill.training import provenance
from selfdistill.training.teacher import vouch

if TYPE_CHECKING:
    from selfdistill.training.run import Run


def write_outputs(run: "Run", evaluation: Evaluation) -> None:
    """Write the run's declared outputs. evaluation: of the network that is kept."""
    folder, settings, progress, facts = run.job.output, run.settings, run.progress, _facts(run, evaluation)
    weights = encode_weights(run.network.kept(), settings.network, facts)
    answers: dict[str, Tensor] = evaluation.tensors()
    summary = evaluation.summary() | vouch(run.machine, sha256_bytes(weights))
    if run.teaching is not None:
        answers["teacher_logits"] = run.teaching.answers.logits
        summary["teacher"] = run.teaching.describe(evaluation)
    contents: dict[str, bytes | str] = {
        "history.csv": to_csv(history_columns(progress.history), progress.history),
        "timing.csv": to_csv(list(TIMING), progress.timing),
        "predictions.csv": evaluation.predictions(),
        f"{settings.data.evaluated}_logits.safetensors": encode(answers, facts),
        "weights.safetensors": weights,
    }
    if len(run.network.heads):
        contents["auxiliary.safetensors"] = encode(run.network.heads.state_dict(), facts | {"heads": settings.heads})
    for name, content in contents.items():
        write_atomically(folder / name, content)
    write_sealed(folder / "evaluation.json", summary)
    names = [*contents, "evaluation.json"]
    write_sealed(folder / "run.json", _record(run) | {"outputs": {name: sha256_of(folder / name) for name in names}})


def _facts(run: "Run", evaluation: Evaluation) -> dict[str, Any]:
    """What the files with tensors say of themselves."""
    data, best = run.settings.data, run.progress.best
    facts = {
        "method": run.settings.method,
        "seed": run.job.seed,
        "mean": data.mean,
        "std": data.std,
        "dataset": data.dataset,
        "correct": evaluation.correct,
        "images": evaluation.images,
        "kept_epoch": run.progress.epoch if best is None else best.epoch,
    }
    held_out = {"train_images": data.train_images, "holdout_images": data.holdout_images}
    return facts | (held_out if data.holdout_images else {})


def _record(run: "Run") -> dict[str, Any]:
    """The content of run.json but for its outputs; versions and names, but no path of this machine."""
    progress = run.progress
    return {
        **run.identity,
        "state": run.folder.name,
        "coefficients": run.parts.coefficients(),
        "environment": run.environment,
        "auto_precision": run.machine.auto_precision,
        "options": run.job.machine.model_dump(mode="json"),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "training_seconds": sum(row[kind] for row in progress.timing for kind in WORK),
        "attempts": progress.attempts,
        "bit_exact": progress.bit_exact,
    }
