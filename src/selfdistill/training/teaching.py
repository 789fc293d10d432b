"""The teachers of a run: they are checked, evaluated on the test set, and compute their logits before each epoch."""

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from selfdistill.config.settings import RunSettings
from selfdistill.data.batches import TestSet, TrainingSet
from selfdistill.evaluation.evaluate import Evaluation, count_correct, evaluate
from selfdistill.losses.equations import ensemble_logits
from selfdistill.models.resnet import replace_stem
from selfdistill.training.machine import Machine
from selfdistill.training.teacher import FrozenTeacher, frozen, load_teacher


class TeacherRecord(NamedTuple):
    """The records of a teacher: its evaluation.json, and its evaluation on the test set as it teaches here."""

    path: Path
    facts: dict[str, Any]
    answers: Evaluation


class Teaching:
    """The teacher of a run, or the members of an ensemble.

    answers: their evaluation on the test set as they teach; for an ensemble, that of its mean.
    """

    def __init__(self, paths: tuple[Path, ...], settings: RunSettings, seed: int, test_set: TestSet, machine: Machine):
        self.settings, temperature = settings, settings.parameters.get("temperature", 1.0)
        self.records, members = [], []
        for path in paths:
            network, facts, answers = load_teacher(path, settings.teacher.network, test_set, machine)
            if settings.replaced_stem:
                replace_stem(network.backbone, seed, as_notebook=settings.replaced_stem == "as_notebook")
                network = frozen(network.backbone, machine)
                answers = evaluate(network, test_set, machine.autocast)
            members.append(network)
            self.records.append(TeacherRecord(path, facts, answers))
        self.teacher = FrozenTeacher(members, machine, temperature)
        logits = ensemble_logits([record.answers.logits for record in self.records], temperature)
        self.answers = self.records[0].answers._replace(logits=logits)

    def lines(self) -> list[str]:
        """The lines of the log about them."""
        right = f"{self.settings.data.evaluated} images correct"
        lines = [
            f"teacher {path.parent.parent.name}/{path.parent.name}:"
            f" {facts['correct']} of {facts['images']} {right}, as recorded"
            for path, facts, _ in self.records
        ]
        changed = ["replaced stem"] * bool(self.settings.replaced_stem)
        changed += [f"mean probabilities of {len(self.records)} members"] * (len(self.records) > 1)
        if changed:
            lines.append(f"teacher with {' and '.join(changed)}: {self.answers.correct} {right}")
        return lines

    def logits(self, training_set: TrainingSet, seed: int, epoch: int) -> Tensor:
        """The logits [images, classes] for the images of an epoch, in their order."""
        return self.teacher.logits(training_set.batches(seed, epoch, self.teacher.batch_size))

    def describe(self, student: Evaluation) -> dict[str, Any]:
        """The facts about the teacher in a student's evaluation.json: its correct predictions on the test set, and the
        number of images on which its student agrees.
        """
        agreement = count_correct(student.logits, self.answers.logits.argmax(1))
        facts: dict[str, Any] = {"correct": self.answers.correct, "agreement": agreement}
        if len(self.records) > 1:
            facts["members_correct"] = [record.answers.correct for record in self.records]
        return facts
