"""Training loops that pass once over the images: ours, a plain one, and torchdistill's."""

import contextlib
import io
import logging
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from benchmarks.cases import BATCH, DECAY, KD_ALPHA, MEAN, MOMENTUM, RATE, SELF_ALPHA, STD, TEMPERATURE, Case
from selfdistill.config.optimiser import OptimiserSettings
from selfdistill.data.batches import Normalisation, TrainingSet
from selfdistill.losses.objectives import OBJECTIVES
from selfdistill.models.network import Network, build_network
from selfdistill.models.resnet import build_backbone
from selfdistill.training.components import build_optimiser
from selfdistill.training.ledger import Ledger
from selfdistill.training.loop import train_epoch
from selfdistill.training.machine import Machine
from selfdistill.training.steps import EagerStep, choose_step
from selfdistill.training.teacher import FrozenTeacher, with_logits

OPTIMISER = OptimiserSettings(
    learning_rate=RATE, schedule="cosine", momentum=MOMENTUM, nesterov=False, weight_decay=DECAY
)
Epoch = Callable[[], None]  # passes over all images once and waits for the device


def ours(case: Case, images: np.ndarray, labels: np.ndarray, machine: Machine) -> Epoch:
    """The loop of this project, data and teacher included."""
    normalise = Normalisation(MEAN, STD, machine.device)
    training_set = TrainingSet(images, labels, ("crop", "flip"), normalise)
    network = build_network(case.network, case.heads, zero_init_residual=False, seed=0)
    network = network.to(machine.device, memory_format=torch.channels_last)
    optimiser = build_optimiser(network, OPTIMISER, machine.device)
    scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "fp16")
    objective = partial(OBJECTIVES[case.objective], **case.parameters)
    teacher = None
    if case.teacher:
        teacher = FrozenTeacher([Network(build_backbone(case.teacher))], machine)
    step = choose_step(EagerStep(network, objective, optimiser, scaler, machine), "auto", print)
    epochs = iter(range(10**6))

    def epoch() -> None:
        index = next(epochs)
        batches = training_set.batches(0, index, BATCH)
        if teacher is not None:
            logits = teacher.logits(training_set.batches(0, index, teacher.batch_size))
            batches = with_logits(batches, logits)
        train_epoch(step, batches, machine, Ledger())

    return epoch


class Pictures(Dataset):
    """The images as PIL pictures with the usual transforms, as torchvision's CIFAR10 gives them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self.labels = images.transpose(0, 2, 3, 1), labels
        steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        self.transform = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def plain_loss(case: Case, outputs, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
    """Cross-entropy, Eq. (3) or Eq. (7), as most people write them."""

    def soft(student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = F.log_softmax(student / TEMPERATURE, 1), F.softmax(teacher / TEMPERATURE, 1)
        return F.kl_div(student, teacher, reduction="batchmean") * TEMPERATURE**2

    if case.objective == "cross_entropy":
        return F.cross_entropy(outputs, labels)
    if case.objective == "knowledge_distillation":
        return KD_ALPHA * F.cross_entropy(outputs, labels) + (1 - KD_ALPHA) * soft(outputs, teacher_logits)
    loss = F.cross_entropy(outputs.final, labels)
    for head in outputs.auxiliary:
        loss = loss + SELF_ALPHA * F.cross_entropy(head, labels) + (1 - SELF_ALPHA) * soft(head, outputs.final.detach())
    return loss


def student_of(case: Case, device: torch.device) -> nn.Module:
    """The same network as ours, as a plain module."""
    if case.heads:
        return as_torchvision(build_network(case.network, case.heads, zero_init_residual=False, seed=0)).to(device)
    return as_torchvision(build_backbone(case.network)).to(device)


def as_torchvision(network: nn.Module) -> nn.Module:
    """The network with torchvision's own convolutions in place of ours for small images."""
    for module in network.modules():
        module.__dict__.pop("forward", None)
    return network


def loader_options(workers: int, device: torch.device) -> dict:
    """The fastest options of a DataLoader."""
    return {
        "batch_size": BATCH,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": device.type == "cuda",
    }


def plain(
    case: Case,
    images: np.ndarray,
    labels: np.ndarray,
    device: torch.device,
    *,
    workers: int,
    amp: bool,
    layout: torch.memory_format,
) -> Epoch:
    """A loop as most people write it: DataLoader, PIL transforms, `.item()` in every step. amp: bf16 autocast."""
    network = student_of(case, device).to(memory_format=layout).train()
    teacher = None
    if case.teacher:
        teacher = as_torchvision(build_backbone(case.teacher)).to(device, memory_format=layout).eval()
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    loader = DataLoader(Pictures(images, labels), shuffle=True, **loader_options(workers, device))

    def epoch() -> None:
        running, correct = 0.0, 0
        for batch, targets in loader:
            batch = batch.to(device, non_blocking=True, memory_format=layout)
            targets = targets.to(device, non_blocking=True)
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                outputs = network(batch)
                teacher_logits = None
                if teacher is not None:
                    with torch.no_grad():
                        teacher_logits = teacher(batch)
                loss = plain_loss(case, outputs, targets, teacher_logits)
            loss.backward()
            optimiser.step()
            running += loss.item()
            final = outputs.final if case.heads else outputs
            correct += (final.argmax(1) == targets).sum().item()
        _wait(device)

    return epoch


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class FromOutput(nn.Module):
    """A loss of the student's own output, in the form that torchdistill calls."""

    def __init__(self, case: Case):
        super().__init__()
        self.case = case

    def forward(self, student_io: dict, teacher_io: dict, targets: Tensor) -> Tensor:
        """The loss of a batch."""
        return plain_loss(self.case, student_io["."]["output"], targets, None)


def torchdistill(case: Case, images: np.ndarray, labels: np.ndarray, device: torch.device, *, workers: int) -> Epoch:
    """torchdistill (Matsubara, arXiv 2011.12913) driving the same networks, as its examples do it.

    Raises: ImportError when it is not installed.
    """
    from torchdistill.core.distillation import DistillationBox
    from torchdistill.core.training import TrainingBox

    logging.getLogger("torchdistill").setLevel(logging.ERROR)
    if case.teacher:
        criterion = {
            "key": "KDLoss",
            "kwargs": {
                **{"student_module_path": ".", "student_module_io": "output"},
                **{"teacher_module_path": ".", "teacher_module_io": "output"},
                **{"temperature": TEMPERATURE, "alpha": KD_ALPHA, "reduction": "batchmean"},
            },
        }
    else:
        criterion = FromOutput(case)
    sampler = {"class_or_func": RandomSampler, "kwargs": {}}
    config = {
        "num_epochs": 1,
        "train_data_loader": {"dataset_id": "train", "sampler": sampler, "kwargs": loader_options(workers, device)},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"loss": {"criterion": criterion, "weight": 1.0}}},
        },
        "optimizer": {"key": "SGD", "kwargs": {"lr": RATE, "momentum": MOMENTUM, "weight_decay": DECAY}},
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only"},
        "model": {"forward_proc": "forward_batch_only"},
    }
    data, student = {"train": Pictures(images, labels)}, student_of(case, device).train()
    with contextlib.redirect_stdout(io.StringIO()):
        if case.teacher:
            teacher = as_torchvision(build_backbone(case.teacher)).to(device).eval()
            box = DistillationBox(teacher, student, data, config, device, None, False, 1)
        else:
            box = TrainingBox(student, data, config, device, None, False, 1)

    def epoch() -> None:
        for batch, targets, extra in box.train_data_loader:
            batch, targets = batch.to(device), targets.to(device)
            loss = box.forward_process(batch, targets, extra)
            box.post_forward_process(loss)
            loss.item()
        _wait(device)

    return epoch
