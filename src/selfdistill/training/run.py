"""A run from its settings to its outputs: start or resume, train, evaluate, write."""

import time
from typing import Any

from torch import Tensor

from selfdistill.columns import WORK
from selfdistill.config.methods import ODDITIES
from selfdistill.config.settings import RunSettings
from selfdistill.data.batches import Normalisation, TestSet, TrainingSet, batch_bounds
from selfdistill.data.label_noise import with_label_noise
from selfdistill.data.prepared import read_prepared, training_and_evaluation
from selfdistill.evaluation.evaluate import Evaluation, evaluate
from selfdistill.losses.terms import describe_coefficients
from selfdistill.system.amounts import duration
from selfdistill.system.files import check_free_space
from selfdistill.system.log import Log
from selfdistill.system.pauses import PAUSES
from selfdistill.system.stop import REQUEST, Grace, Stopped
from selfdistill.training import checkpoint, provenance
from selfdistill.training.compiling import compile_network, wants_compiling
from selfdistill.training.components import Components, set_rate
from selfdistill.training.display import EpochDisplay, epoch_line
from selfdistill.training.identity import run_identity
from selfdistill.training.job import Job
from selfdistill.training.ledger import Ledger
from selfdistill.training.loop import check_finite, train_epoch
from selfdistill.training.machine import Machine, choose_precision, count_workers, device_name, set_up
from selfdistill.training.outputs import write_outputs
from selfdistill.training.progress import Best, Progress
from selfdistill.training.schedule import SCHEDULES
from selfdistill.training.states import newest_epoch, state_folder
from selfdistill.training.status import describe_other_states
from selfdistill.training.steps import CapturedStep, EagerStep, choose_step
from selfdistill.training.teacher import with_logits
from selfdistill.training.teaching import Teaching


def train_run(job: Job, settings: RunSettings, log: Log) -> None:
    """Train a run, or its remaining epochs, and write its outputs.

    Raises: Stopped, naming what is saved, when a signal came.
    """
    PAUSES.watch()
    how = job.machine
    machine = set_up(how.device, how.threads, settings.precision, deterministic=how.deterministic)
    run = Run(job, settings, machine, log)
    try:
        run.complete()
    except Stopped as stopped:
        saved = newest_epoch(run.folder)
        kept = f"epoch {saved} of {settings.epochs} is saved" if saved else "no epoch is saved yet"
        raise Stopped(f"{settings.method} seed {job.seed}: {stopped}; {kept}") from None


def read_images(job: Job, settings: RunSettings, machine: Machine) -> tuple[TrainingSet, TestSet, str]:
    """The training images, the images for the evaluation, and the SHA-256 of the whole prepared dataset."""
    data = settings.data
    images, sha256 = read_prepared(job.data, data.dataset)
    normalise = Normalisation(data.mean, data.std, machine.device)
    images = training_and_evaluation(images, data.train_images, data.holdout_images)
    training_set = TrainingSet(
        images.train_images,
        with_label_noise(images.train_labels, settings.label_noise, settings.network.classes),
        settings.augmentation,
        normalise,
        workers=count_workers(job.machine.workers, machine.device),
        twice=bool(job.teachers),
    )
    return training_set, TestSet(images.test_images, images.test_labels, normalise), sha256


class Run:
    """A run in progress."""

    def __init__(self, job: Job, settings: RunSettings, machine: Machine, log: Log):
        self.job, self.settings, self.machine, self.log = job, settings, machine, log
        self.training_set, self.test_set, data_sha256 = read_images(job, settings, machine)
        self.parts = Components(settings, job.seed, machine)
        self.network = self.parts.network
        self.teaching = Teaching(job.teachers, settings, job.seed, self.test_set, machine) if job.teachers else None
        taught_by = [record.facts["weights_sha256"] for record in self.teaching.records] if self.teaching else []
        described = settings.model_dump(mode="json", exclude_none=True)
        self.identity = run_identity(described, job.seed, data_sha256, taught_by)
        self.origin = provenance.origin()
        self.folder = state_folder(job.states, job.name, self.identity)
        keeps_best = settings.kept_epoch == "best_on_test"
        self.progress = Progress(Best(0, -1, self._copy()) if keeps_best else None)
        self.compile_seconds = 0.0

    def complete(self) -> None:
        """Start or resume the run, train the remaining epochs and write the outputs."""
        for line in opening_lines(self):
            self.log.note(line)
        self._compile()
        self._resume()
        progress, started = self.progress, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        lost = {"redone_seconds": checkpoint.unsaved_seconds(self.folder), "paused_seconds": 0.0}
        progress.attempts.append({"after_epoch": progress.epoch, "started": started, **lost})
        check_free_space(self.folder, checkpoint.needed_space(self.folder, self._state().tensors), "states and outputs")
        evaluation = self._train_epochs()
        if progress.best is not None:
            self.network.load_state_dict(progress.best.tensors)
        if evaluation is None or progress.best is not None:
            evaluation = self._evaluate()
        described = self.settings, self.job.seed, self.network, progress, evaluation, self.teaching, self.machine
        write_outputs(self.job.output, *described, record_of(self))
        right = f"{evaluation.correct} of {evaluation.images} {self.settings.data.evaluated} images correct"
        self.log.note(f"done: {right} ({self.job.output})")

    def _compile(self) -> None:
        """Compile the network if that is wanted; the time counts in the next epoch's row."""
        images, how = self.settings.epochs * len(self.training_set), self.job.machine.compile
        if wants_compiling(how, self.machine.device, images):
            bounds = batch_bounds(len(self.training_set), self.settings.batch_size)
            sizes = [stop - start for start, stop in bounds]
            self.parts.trained, self.compile_seconds = compile_network(self.network, sizes, self.machine, self.log.say)

    def _resume(self) -> None:
        policy, progress = self.job.machine.resume_policy, self.progress
        state = checkpoint.load_state(self.folder, self.identity, self.environment, policy, self.log.say)
        if state is None:
            for line in describe_other_states(self.folder, self.identity):
                self.log.say(f"starting from the beginning: {line}")
            return
        self.parts.load(state.tensors, state.facts["scaler"])
        progress.load(state.epoch, state.tensors, state.facts)
        for row, seconds in zip(progress.history, progress.timing, strict=True):
            self.log.note(epoch_line(row, self.settings.epochs, sum(seconds[kind] for kind in WORK)))
        self.log.say(f"resumed after epoch {progress.epoch} of {self.settings.epochs}")

    @property
    def environment(self) -> dict[str, Any]:
        """What must be equal for a resumed run to end with the same bits; a compiled network rounds differently."""
        return self.machine.fingerprint() | ({"compile": True} if self.parts.trained is not self.network else {})

    def _state(self) -> checkpoint.State:
        facts = {
            **self.progress.facts(),
            "scaler": self.parts.scaler.state_dict(),
            "identity": self.identity,
            "environment": self.environment,
        }
        return checkpoint.State(self.progress.epoch, self.parts.tensors() | self.progress.tensors(), facts)

    def _train_epochs(self) -> Evaluation | None:
        """Train the epochs that are left; return the evaluation of the last one, None if none was left."""
        s, parts, progress, evaluation = self.settings, self.parts, self.progress, None
        cadence = checkpoint.Cadence(self.job.machine.checkpoint.overhead)
        grace = Grace(self.job.machine.checkpoint.grace, len(self.training_set), len(self.test_set))
        eager = EagerStep(parts.trained, parts.objective, parts.optimiser, parts.scaler, self.machine)
        step = choose_step(eager, self.job.machine.capture, self.log.say)
        name = f"{s.method} seed {self.job.seed}"
        options = {"first": progress.epoch, "machine": self.machine}
        with EpochDisplay(self.log, name, len(self.training_set), s.epochs, **options) as display, REQUEST.patience():
            while progress.epoch < s.epochs:
                REQUEST.stop_if_asked()
                ledger = Ledger()
                ledger.seconds["compile"], self.compile_seconds = self.compile_seconds, 0.0
                grace.begin(progress.timing[-1]["evaluation"] + cadence.cost if progress.timing else None)
                evaluation = self._one_epoch(step, ledger, display, grace)
                progress.timing.append({"epoch": progress.epoch, **ledger.seconds})
                checkpoint.note_epoch(self.folder)
                self._note_pause(PAUSES.take())
                if progress.epoch == s.epochs or cadence.due() or REQUEST.at is not None:
                    self._save(cadence)
                display.after_epoch(progress.history[-1], sum(progress.timing[-1][kind] for kind in WORK))
        return evaluation

    def _one_epoch(
        self, step: EagerStep | CapturedStep, ledger: Ledger, display: EpochDisplay, grace: Grace
    ) -> Evaluation | None:
        """Train an epoch and add its row; return its evaluation, if there was one."""
        s, progress, epoch = self.settings, self.progress, self.progress.epoch
        rate = SCHEDULES[s.schedule](s.learning_rate, epoch, s.epochs)
        set_rate(self.parts.optimiser, rate)
        batches = ledger.timed(self.training_set.batches(self.job.seed, epoch, s.batch_size), "data")
        if self.teaching is not None:
            with ledger.measure("teacher"):
                logits = self.teaching.logits(self.training_set, self.job.seed, epoch)
            batches = with_logits(batches, logits)

        def after_step(images: int) -> None:
            display.after_step(images)
            grace.after_step(images)

        means = train_epoch(step, batches, self.machine, ledger, after_step)
        progress.epoch += 1
        row, evaluation = {"epoch": progress.epoch, "learning_rate": rate, **means}, None
        if progress.epoch == s.epochs or progress.epoch % self.job.machine.evaluate_every == 0:
            with ledger.measure("evaluation"):
                evaluation = self._evaluate()
                row |= evaluation.columns(s.data.evaluated)
                if progress.best is not None and evaluation.correct > progress.best.correct:
                    progress.best = Best(progress.epoch, evaluation.correct, self._copy())
        check_finite(row, progress.epoch)
        progress.history.append(row)
        return evaluation

    def _note_pause(self, seconds: float) -> None:
        """Report and record the time for which the process stood still; no epoch's row includes it."""
        if seconds:
            self.progress.attempts[-1]["paused_seconds"] += round(seconds, 3)
            self.log.say(f"paused for {duration(seconds)} (not counted as training time)")

    def _save(self, cadence: checkpoint.Cadence) -> None:
        """Save the state. The time that this takes is known only afterwards, so this epoch's row includes it from the
        next save on. The last row never does, because the last save is no part of training.
        """
        start = PAUSES.clock()
        checkpoint.save_state(self.folder, self._state())
        seconds = PAUSES.clock() - start
        cadence.saved(seconds)
        if self.progress.epoch < self.settings.epochs:
            self.progress.timing[-1]["checkpoint"] = seconds

    def _evaluate(self) -> Evaluation:
        return evaluate(self.network, self.test_set, self.machine.autocast)

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


def opening_lines(run: Run) -> list[str]:
    """The lines of the log before the first epoch: the run, the machine, its teacher, oddities and coefficients."""
    s, machine = run.settings, run.machine
    return [
        f"{s.method} seed {run.job.seed}: {s.network.model} ({s.network.stem} stem, width {s.network.width}),"
        f" {s.epochs} epochs of {len(run.training_set)} images, batch {s.batch_size}",
        f"on {device_name(machine.device)}, {machine.threads} thread{'s' * (machine.threads > 1)}, {machine.precision}",
        *(run.teaching.lines() if run.teaching else []),
        *(f"notice: {oddity}, an oddity of the published notebooks: {ODDITIES[oddity]}" for oddity in s.oddities),
        f"loss: {describe_coefficients(run.parts.coefficients)}",
    ]


def record_of(run: Run) -> dict[str, Any]:
    """The content of run.json except its outputs; it has versions and names, but no paths of this machine."""
    progress = run.progress
    return {
        **run.identity,
        "state": run.folder.name,
        "coefficients": run.parts.coefficients,
        "environment": run.environment,
        "auto_precision": choose_precision("auto", run.machine.device),
        "options": run.job.machine.model_dump(mode="json"),
        **run.origin,
        "training_seconds": sum(row[kind] for row in progress.timing for kind in WORK),
        "attempts": progress.attempts,
        "bit_exact": progress.bit_exact,
    }
