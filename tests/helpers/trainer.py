"""Small training jobs, and a way to kill them, for the tests."""

import json
import os
import signal
from pathlib import Path

from helpers.warm import FORKS
from selfdistill.config.load import merge
from selfdistill.config.optimiser import OptimiserSettings
from selfdistill.config.schema import MachineSettings
from selfdistill.config.settings import to_yaml
from selfdistill.training import checkpoint
from selfdistill.training.job import Job
from selfdistill.training.start import train

SETTINGS = {
    "method": "control",
    "data": {"dataset": "digits", "train_images": 90, "mean": [0.3] * 3, "std": [0.4] * 3},
    "network": {"model": "resnet18", "stem": "cifar", "width": 8, "classes": 10},
    "zero_init_residual": False,
    "objective": "cross_entropy",
    "parameters": {},
    "epochs": 3,
    "batch_size": 40,
    "learning_rate": 0.05,
    "schedule": "cosine",
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 5.0e-4,
    "augmentation": ["crop", "flip"],
    "precision": "fp32",
}
OPTIMISER = OptimiserSettings(learning_rate=0.1, schedule="cosine", momentum=0.9, nesterov=False, weight_decay=5e-4)
WEIGHTS = {"temperature": 4.0, "cross_entropy_weight": 0.5, "distillation_weight": 0.5}
KINDS = {
    "control": {},
    "kd": {"objective": "knowledge_distillation", "teacher": SETTINGS["network"], "parameters": WEIGHTS},
    "self_distillation": {"objective": "self_distillation", "heads": "fc", "parameters": WEIGHTS},
    "notebooks": {
        **{"objective": "self_distillation", "heads": "conv1x1", "final_head": "conv1x1"},
        "parameters": WEIGHTS | {"detach": False, "classifiers": 3, "feature_weight": 0.3},
        "oddities": ["undetached_target", "best_on_test"],
        "kept_epoch": "best_on_test",
    },
}


MACHINE = MachineSettings(
    **{"device": "cpu", "threads": 1, "workers": 0, "compile": "off", "checkpoint": {"overhead": 1.0, "grace": 25.0}}
)
MACHINE_KEYS = MachineSettings.model_fields


def machine_option(**changes) -> list[str]:
    """The option of `train` that says how the machine does it."""
    return ["--machine", json.dumps(MACHINE.model_dump(mode="json") | changes)]


def make_job(folder: Path, data: Path, kind: str = "control", seed: int = 0, changes: dict | None = None, **options):
    """A job under folder/<kind>/seed<n>; changes are laid over its settings, options over the job and its machine.
    teacher: the one that teaches it, in place of `teachers`.
    """
    if teacher := options.pop("teacher", None):
        options["teachers"] = (teacher,)
    settings = merge(SETTINGS, KINDS[kind] | {"method": kind})
    settings = merge(settings, changes or {})
    path = folder / f"{kind}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_yaml(settings))
    machine = MACHINE.model_copy(update={key: options.pop(key) for key in list(options) if key in MACHINE_KEYS})
    output = folder / kind / f"seed{seed}"
    job = Job(data=data, settings=path, seed=seed, output=output, log=folder / f"{kind}.txt", machine=machine)
    return job._replace(**options)


def train_until_killed(job, after_saves: int) -> None:
    """Train in another process that SIGKILLs itself after a number of saved states.

    It comes from the fork server and not from this process, which may have threads by now (torch.compile
    starts some): a fork of those can wait for ever.
    """
    process = FORKS.Process(target=_train_and_die, args=(job, after_saves))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "the run ended before it could be killed"


def _train_and_die(job, after_saves: int) -> None:
    die_after(after_saves)
    train(job)


def die_after(saves: int) -> None:
    """Have this process killed once it has saved so many states: one after each epoch, however slow the disk is."""
    saved, save = [], checkpoint.save_state

    def save_and_die(folder, state):
        save(folder, state)
        saved.append(state.epoch)
        if len(saved) == saves:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_state = save_and_die
    checkpoint.Cadence.due = lambda self: True
