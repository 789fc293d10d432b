"""Training jobs from their settings to their outputs: start or resume, train, evaluate, write."""

import contextlib
import time
from collections.abc import Generator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from selfdistill.config.schema import ODDITIES
from selfdistill.config.settings import RunSettings
from selfdistill.data.batches import Normalisation, TestSet, TrainingSet, batch_bounds, with_label_noise
from selfdistill.data.prepared import read_prepared, training_and_evaluation
from selfdistill.evaluation.evaluate import Evaluation, describe_teacher, evaluate
from selfdistill.system.failures import Failure
from selfdistill.system.files import check_free_space, sha256_bytes, sha256_of, write_atomically, write_sealed
from selfdistill.system.log import Log
from selfdistill.losses.equations import ensemble_logits
from selfdistill.losses.objectives import OBJECTIVES
from selfdistill.losses.terms import describe_coefficients
from selfdistill.columns import TIMING, WORK, history_columns, to_csv
from selfdistill.models.network import build_network
from selfdistill.models.outputs import Outputs
from selfdistill.models.weights import encode, encode_weights
from selfdistill.system.stop import REQUEST, Grace, Stopped
from selfdistill.training import checkpoint, provenance
from selfdistill.training.compiling import compile_network, wants_compiling
from selfdistill.training.job import Job
from selfdistill.training.ledger import Ledger
from selfdistill.training.loop import check_finite, train_epoch
from selfdistill.training.machine import Machine, count_workers, device_name, set_up
from selfdistill.training.progress import EpochProgress, epoch_line
from selfdistill.training.schedule import SCHEDULES
from selfdistill.training.states import newest_epoch, state_folder
from selfdistill.training.status import describe_other_states
from selfdistill.training.steps import CapturedStep, EagerStep, build_optimiser, choose_step, set_rate
from selfdistill.training.teacher import FrozenTeacher, load_teacher, vouch, with_logits
from selfdistill.training.views import all_views

OPTIONS = (
    *("device", "threads", "workers", "deterministic", "compile", "capture", "teacher_cache", "resume_policy"),
    *("checkpoint_overhead", "checkpoint_grace", "evaluate_every"),
)


def train_side_by_side(jobs: list[Job], settings: RunSettings) -> dict[str, Failure | Stopped]:
    """Train one run, or several of one method that take turns, a step of each; why those ended that did not finish.

    What ends one run does not end the others.
    """
    first = jobs[0]
    machine = set_up(first.device, first.threads, settings.precision, deterministic=first.deterministic)
    data = Data.load(first, settings, machine, len(jobs))
    runs = [Run(job, settings, machine, data, [job.seed for job in jobs]) for job in jobs]
    machine.wait()  # a stream of a run does not wait for what was put on the device before it
    going, ended = {run: run.steps() for run in runs}, {}
    while going:
        for run, steps in list(going.items()):
            try:
                with run.its_stream():
                    next(steps)
            except StopIteration:
                del going[run]
            except (Failure, Stopped) as end:
                ended[run.job.name] = end
                del going[run]
                if len(runs) > 1:
                    run.log.say(str(end))
    return ended


class Data(NamedTuple):
    """The images that runs share; test_set: what they are evaluated on, the hold-out if there is one.

    sha256: of the whole prepared dataset.
    """

    training_set: TrainingSet
    test_set: TestSet
    sha256: str

    @classmethod
    def load(cls, job: Job, settings: RunSettings, machine: Machine, runs: int) -> "Data":
        """Read the prepared dataset onto the device; so many runs share the workers."""
        images, sha256 = read_prepared(job.data, settings.data.dataset)
        normalise = Normalisation(settings.data.mean, settings.data.std, machine.device)
        counts = settings.data.train_images, settings.data.holdout_images, settings.train_fraction
        images = training_and_evaluation(images, *counts)
        labels = with_label_noise(images.train_labels, settings.label_noise, settings.network.classes)
        workers = count_workers(job.workers, machine.device)
        workers = min(workers, max(1, workers // runs))
        twice = bool(job.teachers)
        training_set = TrainingSet(
            images.train_images, labels, settings.augmentation, normalise, workers=workers, twice=twice
        )
        return cls(training_set, TestSet(images.test_images, images.test_labels, normalise), sha256)


class Taught(NamedTuple):
    """What is known of a network that teaches: its evaluation.json, and its answers to the test set as it teaches."""

    facts: dict[str, Any]
    answers: Evaluation


class Run:
    """A run in progress: its network, optimiser and rows. pack: the seeds of the runs that take turns with it."""

    def __init__(self, job: Job, settings: RunSettings, machine: Machine, data: Data, pack: list[int]):
        self.job, self.settings, self.machine, self.pack = job, settings, machine, pack
        self.log = Log(job.log, f"seed {job.seed}" if len(pack) > 1 else "")
        self.training_set, self.test_set, self.data_sha256 = data
        one_stream = machine.device.type == "cpu" or len(pack) == 1
        self.stream = None if one_stream else torch.cuda.Stream(machine.device)
        self.network = build_network(
            settings.network,
            settings.heads,
            zero_init_residual=settings.zero_init_residual,
            seed=job.seed,
            final_head=settings.final_head,
        ).to(machine.device, memory_format=torch.channels_last)
        self.optimiser = build_optimiser(
            self.network,
            settings.learning_rate,
            machine.device,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "fp16")
        self.objective = partial(OBJECTIVES[settings.objective], **settings.parameters)
        self.temperature = settings.parameters.get("temperature", 1.0)
        stem_seed = job.seed if settings.replaced_stem else None
        loaded = [
            load_teacher(path, settings.teacher.network, self.test_set, machine, stem_seed) for path in job.teachers
        ]
        self.taught_by = [Taught(recorded, answers) for _, recorded, answers in loaded]
        self.teacher, self.teacher_test = None, None
        if loaded:
            self.teacher = FrozenTeacher([network for network, _, _ in loaded], machine, self.temperature)
            logits = ensemble_logits([answers.logits for _, _, answers in loaded], self.temperature)
            self.teacher_test = self.taught_by[0].answers._replace(logits=logits)
        self.cached = job.teacher_cache and self.teacher is not None and self._why_live() is None
        self.views: Tensor | None = None
        self.identity = {
            "settings": settings.model_dump(mode="json", exclude_none=True),
            "seed": job.seed,
            "data_sha256": self.data_sha256,
            "teacher_sha256": provenance.teachers_sha256([one.facts["weights_sha256"] for one in self.taught_by]),
            "code_fingerprint": provenance.code_fingerprint(),
        }
        self.folder = state_folder(job.states, job.name, self.identity)
        self.epoch, self.history, self.timing = 0, [], []
        self.attempts: list[dict[str, Any]] = []
        self.bit_exact = True
        self.best = Best(0, -1, self._copy()) if settings.kept_epoch == "best_on_test" else None
        self.trained: nn.Module = self.network  # or its compiled form, of the same tensors
        self.compile_seconds = 0.0

    def its_stream(self) -> contextlib.AbstractContextManager:
        """The context in which this run gives work to the device."""
        return contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def steps(self) -> Generator[None, None, None]:
        """Start or resume, train what is left, write the outputs; yields after each step of training.

        Raises: Stopped, naming what is saved, when a signal came.
        """
        try:
            yield from self._complete()
        except Stopped as stopped:
            saved = newest_epoch(self.folder)
            kept = f"epoch {saved} of {self.settings.epochs} is saved" if saved else "no epoch is saved yet"
            raise Stopped(f"{self.settings.method} seed {self.job.seed}: {stopped}; {kept}") from None

    def _complete(self) -> Generator[None, None, None]:
        self._announce()
        self._compile()
        self._resume()
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        redone = checkpoint.unsaved_seconds(self.folder)
        self.attempts.append({"after_epoch": self.epoch, "started": started, "redone_seconds": redone})
        check_free_space(self.folder, checkpoint.needed_space(self.folder, self._state().tensors), "states and outputs")
        evaluation = yield from self._train_epochs()
        if self.best is not None:
            self.network.load_state_dict(self.best.tensors)
        if evaluation is None or self.best is not None:
            evaluation = self._evaluate()
        write_outputs(self, evaluation)
        right = f"{evaluation.correct} of {evaluation.images} {self.settings.data.evaluated} images right"
        self.log.say(f"done: {right} ({self.job.output})")

    def _announce(self) -> None:
        s, machine = self.settings, self.machine
        self.log.say(
            f"{s.method} seed {self.job.seed}: {s.network.model} ({s.network.stem} stem, width {s.network.width}),"
            f" {s.epochs} epochs of {len(self.training_set)} images, batch {s.batch_size}"
        )
        self.log.say(f"on {device_name(machine.device)}, {machine.threads} threads, {machine.precision}")
        for path, one in zip(self.job.teachers, self.taught_by, strict=True):
            right = f"{one.facts['correct']} of {one.facts['images']} {s.data.evaluated} images right"
            which = f" {path.parent.parent.name}/{path.parent.name}" if len(self.taught_by) > 1 else ""
            self.log.say(f"teacher{which}: {right}, as recorded")
        changed = ["its stem replaced"] * s.replaced_stem
        changed += [f"{len(self.taught_by)} members, the mean of their probabilities"] * (len(self.taught_by) > 1)
        if changed:
            right = f"{self.teacher_test.correct} {s.data.evaluated} images right"
            self.log.say(f"teacher with {' and '.join(changed)}: {right}")
        if self.teacher and self.job.teacher_cache and not self.cached:
            self.log.say(f"notice: teacher_cache is on, but the teacher answers live: {self._why_live()}")
        for oddity in s.oddities:
            self.log.say(f"notice: {oddity}, an oddity of the published notebooks: {ODDITIES[oddity]}")
        self.log.say(f"loss: {describe_coefficients(self.coefficients())}")

    def _why_live(self) -> str | None:
        """Why a table of the teacher's answers to all views cannot be, None if it can."""
        if self.settings.replaced_stem:
            return "its stem is replaced, another one for each seed"
        if self.training_set.workers is not None:
            return "with augmentations beside crop and flip an image has too many views"
        return None

    def coefficients(self) -> dict[str, float]:
        """The objective's effective coefficients by history column, from the objective itself."""
        logits = torch.zeros(1, self.settings.network.classes)
        heads, maps = len(self.network.heads), logits.view(1, -1, 1, 1)
        outputs = Outputs(logits, (logits,) * heads, (maps,) * (heads + 1))
        return self.objective(outputs, torch.zeros(1, dtype=torch.long), logits).coefficients()

    def _resume(self) -> None:
        environment = self._environment()
        state = checkpoint.load_state(self.folder, self.identity, environment, self.job.resume_policy, self.log.say)
        if state is None:
            for line in describe_other_states(self.folder, self.identity):
                self.log.say(f"starting afresh: {line}")
            return
        self._restore(state)
        for row, seconds in zip(self.history, self.timing, strict=True):
            self.log.say(epoch_line(row, self.settings.epochs, sum(seconds[kind] for kind in WORK)))
        self.log.say(f"resumed after epoch {self.epoch} of {self.settings.epochs}")

    def _restore(self, state: checkpoint.State) -> None:
        self.epoch = state.epoch
        self.network.load_state_dict(dict(_under("network.", state.tensors)))
        parameters = dict(self.network.named_parameters())
        for name, tensor in _under("momentum.", state.tensors):
            self.optimiser.state[parameters[name]]["momentum_buffer"] = torch.empty_like(parameters[name]).copy_(tensor)
        self.scaler.load_state_dict(state.facts["scaler"])
        self.history, self.timing = state.facts["history"], state.facts["timing"]
        self.attempts, self.bit_exact = state.facts["attempts"], state.facts["bit_exact"]
        if self.best is not None:
            self.best = Best(*state.facts["best"], dict(_under("best.", state.tensors)))

    def _environment(self) -> dict[str, Any]:
        """What a resumed run must find again to end with the same bits; what is compiled or cached rounds otherwise."""
        rounding = {"compile": self.trained is not self.network, "teacher_cache": self.cached}
        return self.machine.fingerprint() | {name: True for name, used in rounding.items() if used}

    def _compile(self) -> None:
        """Compile the network if that is wanted; what it takes stands in the next epoch's row."""
        s = self.settings
        images = s.epochs * len(self.training_set)
        if wants_compiling(self.job.compile, self.machine.device, images):
            sizes = [stop - start for start, stop in batch_bounds(len(self.training_set), s.batch_size)]
            compiled, self.compile_seconds = compile_network(self.network, sizes, self.machine, self.log.say)
            if compiled is not None:
                self.trained = compiled
                self.log.say(f"compiled in {self.compile_seconds:.0f} s")

    def _state(self) -> checkpoint.State:
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimiser.state[parameter].get("momentum_buffer")
            if momentum is not None:  # there is none with momentum 0
                tensors[f"momentum.{name}"] = momentum
        if self.best is not None:
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.tensors.items()}
        facts = {
            "history": self.history,
            "timing": self.timing,
            "best": None if self.best is None else [self.best.epoch, self.best.correct],
            "scaler": self.scaler.state_dict(),
            "attempts": self.attempts,
            "bit_exact": self.bit_exact,
            "identity": self.identity,
            "environment": self._environment(),
        }
        return checkpoint.State(self.epoch, tensors, facts)

    def _train_epochs(self) -> Generator[None, None, Evaluation | None]:
        s, evaluation = self.settings, None
        cadence = checkpoint.Cadence(self.job.checkpoint_overhead)
        grace = Grace(REQUEST, self.job.checkpoint_grace, len(self.training_set), len(self.test_set), len(self.pack))
        eager = EagerStep(self.trained, self.objective, self.optimiser, self.scaler, self.machine)
        step = choose_step(eager, self.job.capture, self.log.say)
        name = f"{s.method} seed {self.job.seed}"
        options = {"first": self.epoch, "bar": self.job.bar and len(self.pack) == 1, "machine": self.machine}
        with EpochProgress(self.log, name, len(self.training_set), s.epochs, **options) as progress, REQUEST.patience():
            while self.epoch < s.epochs:
                REQUEST.stop_if_asked()
                ledger = Ledger()
                ledger.seconds["compile"], self.compile_seconds = self.compile_seconds, 0.0
                grace.begin(self.timing[-1]["evaluation"] + cadence.cost if self.timing else None)
                evaluation = yield from self._one_epoch(step, ledger, progress, grace)
                self.timing.append({"epoch": self.epoch, **ledger.seconds})
                checkpoint.note_epoch(self.folder)
                if self.epoch == s.epochs or cadence.due() or REQUEST.at is not None:
                    self._save(cadence)
                self.log.say(epoch_line(self.history[-1], s.epochs, sum(self.timing[-1][kind] for kind in WORK)))
                progress.after_epoch(self.epoch)
        return evaluation

    def _one_epoch(
        self, step: EagerStep | CapturedStep, ledger: Ledger, progress: EpochProgress, grace: Grace
    ) -> Generator[None, None, Evaluation | None]:
        """Train an epoch and add its row; the evaluation if there was one."""
        s = self.settings
        rate = SCHEDULES[s.schedule](s.learning_rate, self.epoch, s.epochs)
        set_rate(self.optimiser, rate)
        batches = ledger.timed(self.training_set.batches(self.job.seed, self.epoch, s.batch_size), "data")
        if self.teacher is not None:
            with ledger.measure("teacher"):
                logits = self._teacher_logits()
            batches = with_logits(batches, logits)

        def after_step(images: int) -> None:
            progress.after_step(images)
            grace.after_step(images)

        means = yield from train_epoch(step, batches, self.machine, ledger, after_step)
        self.epoch += 1
        row, evaluation = {"epoch": self.epoch, "learning_rate": rate, **means}, None
        if self.epoch == s.epochs or self.epoch % self.job.evaluate_every == 0:
            with ledger.measure("evaluation"):
                evaluation = self._evaluate()
                row |= evaluation.columns(s.data.evaluated)
                if self.best is not None and evaluation.correct > self.best.correct:
                    self.best = Best(self.epoch, evaluation.correct, self._copy())
        check_finite(row, self.epoch)
        self.history.append(row)
        return evaluation

    def _teacher_logits(self) -> Tensor:
        """The teacher's answers to the images of the epoch, in their order."""
        if not self.cached:
            batches = self.training_set.batches(self.job.seed, self.epoch, self.teacher.batch_size)
            return self.teacher.logits(batches)
        if self.views is None:
            data = self.settings.data.model_dump(mode="json", exclude_none=True) | {"sha256": self.data_sha256}
            key = {"teacher": self.identity["teacher_sha256"], "data": data, "views": self.training_set.views}
            key |= {"environment": self.machine.fingerprint()}
            key |= {"temperature": self.temperature} if len(self.taught_by) > 1 else {}
            self.views = all_views(self.job.states, key, self.teacher, self.training_set, self.log.say)
        return self.training_set.pick(self.views, self.job.seed, self.epoch)

    def _save(self, cadence: checkpoint.Cadence) -> None:
        """Save the state. Its cost is known only afterwards, so it stands in this epoch's row from the next save on,
        and in the last row never: the last save is no part of training.
        """
        start = time.perf_counter()
        checkpoint.save_state(self.folder, self._state())
        seconds = time.perf_counter() - start
        cadence.saved(seconds)
        if self.epoch < self.settings.epochs:
            self.timing[-1]["checkpoint"] = seconds

    def _evaluate(self) -> Evaluation:
        return evaluate(self.network, self.test_set, self.machine.autocast)

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}


class Best(NamedTuple):
    """The epoch with most right answers on the test set so far (the earliest of equals), and its network's state."""

    epoch: int
    correct: int
    tensors: dict[str, Tensor]


def _under(prefix: str, tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    return [(name.removeprefix(prefix), tensor) for name, tensor in tensors.items() if name.startswith(prefix)]


def write_outputs(run: Run, evaluation: Evaluation) -> None:
    """Write the run's declared outputs, run.json last: it vouches for the others by their SHA-256."""
    s, machine, folder = run.settings, run.machine, run.job.output
    facts = {
        "method": s.method,
        "seed": run.job.seed,
        "mean": s.data.mean,
        "std": s.data.std,
        "dataset": s.data.dataset,
    }
    if s.data.holdout_images:
        facts |= {"train_images": s.data.train_images, "holdout_images": s.data.holdout_images}
    facts |= {"correct": evaluation.correct, "images": evaluation.images}
    kept_epoch = run.epoch if run.best is None else run.best.epoch
    facts |= {"kept_epoch": kept_epoch}
    weights = encode_weights(run.network.kept(), s.network, facts)
    answers, teacher = evaluation.tensors(), {}
    if run.teacher_test is not None:
        answers["teacher_logits"] = run.teacher_test.logits
        teacher = {"teacher": describe_teacher(run.teacher_test, evaluation, run.temperature)}
        if len(run.taught_by) > 1:
            teacher["teacher"]["members_correct"] = [one.answers.correct for one in run.taught_by]
    contents: dict[str, bytes | str] = {
        "history.csv": to_csv(history_columns(run.history), run.history),
        "timing.csv": to_csv(list(TIMING), run.timing),
        "predictions.csv": evaluation.predictions(),
        f"{s.data.evaluated}_logits.safetensors": encode(answers, facts),
        "weights.safetensors": weights,
    }
    if len(run.network.heads):
        contents["auxiliary.safetensors"] = encode(run.network.heads.state_dict(), facts | {"heads": s.heads})
    for name, content in contents.items():
        write_atomically(folder / name, content)
    write_sealed(folder / "evaluation.json", evaluation.summary() | vouch(machine, sha256_bytes(weights)) | teacher)
    names = [*contents, "evaluation.json"]
    write_sealed(folder / "run.json", describe_run(run, {name: sha256_of(folder / name) for name in names}))


def describe_run(run: Run, outputs: dict[str, str]) -> dict[str, Any]:
    """The content of run.json; versions and names, but no path of this machine."""
    seconds = sum(row[kind] for row in run.timing for kind in WORK)
    return {
        **run.identity,
        "state": run.folder.name,
        "coefficients": run.coefficients(),
        "environment": run._environment(),
        "options": {name: getattr(run.job, name) for name in OPTIONS} | {"pack": run.pack},
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "training_seconds": seconds,
        "attempts": run.attempts,
        "bit_exact": run.bit_exact,
        "outputs": outputs,
    }
