"""Augmented batches: crop and flip are one gather from images that stay on the device as uint8."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from selfdistill.data.randomness import generator
from selfdistill.data.transforms import ERASING, ON_PIXELS, Key, Transform, Workers

PADDING = 4  # pixels on each side, as in the published notebooks
SHIFTS = 2 * PADDING + 1


class Batch(NamedTuple):
    """Images [batch, 3, 32, 32] normalised float32 (channels last in memory), labels [batch] int64."""

    images: Tensor
    labels: Tensor
    teacher_logits: Tensor | None = None


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Where batches begin and end. The last, smaller one is kept; a single image joins the batch before it,
    because batch normalisation cannot be trained on one value.
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


class EpochPlan(NamedTuple):
    """The random choices of an epoch: the order [n], and the crop's shifts [n, 2] and the flip [n] of each image."""

    order: Tensor
    shifts: Tensor
    flips: Tensor


def epoch_plan(seed: int, epoch: int, count: int) -> EpochPlan:
    """The plan of an epoch (from 0), a function of the seed: methods with the same seed see the images in one order."""
    return EpochPlan(
        torch.randperm(count, generator=generator(seed, "order", epoch)),
        torch.randint(SHIFTS, (count, 2), generator=generator(seed, "crop", epoch)),
        torch.rand(count, generator=generator(seed, "flip", epoch)) < 0.5,
    )


class Normalisation:
    """Raw pixels [batch, height, width, 3] uint8 to [batch, 3, height, width] float32, channels last in memory."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device):
        self.mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, 3, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Divide by 255, subtract the mean, divide by the standard deviation: torchvision's order."""
        return pixels.permute(0, 3, 1, 2).float().div_(255).sub_(self.mean).div_(self.std)


def to_pixels(images: np.ndarray, device: torch.device) -> Tensor:
    """[n, 3, 32, 32] to [n, 32, 32, 3] uint8 on the device."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 2, 3, 1))).to(device)


class TrainingSet:
    """The training images, and the batches of an epoch.

    augmentation: with only `crop` (zero padding of 4, random 32x32 window) and `flip` (left-right, p = .5), the images
    are on the device; with `rotation`, `autoaugment`, `color_jitter` or `random_erasing` they are in main memory, and
    `workers` processes transform them ahead of the training.
    twice: whether each epoch is read twice (by a teacher and by its student); then transformed images are kept.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        augmentation: Sequence[str],
        normalise: Normalisation,
        *,
        workers: int = 0,
        twice: bool = False,
    ):
        self.normalise, self.device = normalise, normalise.mean.device
        self.labels = torch.from_numpy(labels.astype(np.int64)).to(self.device)
        self.crop, self.flip = "crop" in augmentation, "flip" in augmentation
        transforms = set(augmentation) & {*ON_PIXELS, ERASING}
        pixels = to_pixels(images, torch.device("cpu") if transforms else self.device)
        self.windows = _windows(pixels) if self.crop else pixels[:, None, None]
        self.workers = None
        if transforms:
            pin = self.device.type == "cuda"
            self.workers = Workers(Transform(self.windows, augmentation), workers, pin=pin)
        self.twice = twice
        self._kept: tuple[tuple[int, int], list[tuple[Tensor, Tensor]]] | None = None  # a seed and epoch, its batches

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, seed: int, epoch: int, batch_size: int) -> Iterator[Batch]:
        """The batches of an epoch (from 0), every image once."""
        plan = self._plan(seed, epoch)
        bounds = batch_bounds(len(self), batch_size)
        made = self._transformed(plan, bounds, seed, epoch) if self.workers else self._gathered(plan, bounds)
        for (start, stop), images in zip(bounds, made, strict=True):
            yield Batch(images, self.labels[plan.order[start:stop].to(self.device)])

    def _plan(self, seed: int, epoch: int) -> EpochPlan:
        """The epoch's plan, without shifts or flips that this augmentation does not have."""
        order, shifts, flips = epoch_plan(seed, epoch, len(self))
        plan = EpochPlan(order, shifts if self.crop else shifts * 0, flips & self.flip)
        return plan if self.workers else EpochPlan(*(part.to(self.device) for part in plan))

    def _gathered(self, plan: EpochPlan, bounds: list[tuple[int, int]]) -> Iterator[Tensor]:
        for start, stop in bounds:
            chosen = plan.order[start:stop]
            down, right = plan.shifts[chosen].unbind(1)
            pixels = self.windows[chosen, down, right]
            if self.flip:
                pixels = torch.where(plan.flips[chosen].view(-1, 1, 1, 1), pixels.flip(2), pixels)
            yield self.normalise(pixels)

    def _transformed(self, plan: EpochPlan, bounds: list[tuple[int, int]], seed: int, epoch: int) -> Iterator[Tensor]:
        for pixels, erased in self._kept_or_made(plan, bounds, seed, epoch):
            images = self.normalise(pixels.to(self.device, non_blocking=True))
            yield images.masked_fill_(erased.to(self.device, non_blocking=True).unsqueeze(1), 0)

    def _kept_or_made(
        self, plan: EpochPlan, bounds: list[tuple[int, int]], seed: int, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels [batch, 32, 32, 3] and erased [batch, 32, 32], from the workers or from the pass before this one."""
        if self._kept and self._kept[0] == (seed, epoch):
            pixels, erased = (torch.cat(parts) for parts in zip(*self._kept[1], strict=True))
            yield from ((pixels[start:stop], erased[start:stop]) for start, stop in bounds)
            return
        drawn = zip(plan.order.tolist(), plan.shifts[plan.order].tolist(), plan.flips[plan.order].tolist(), strict=True)
        keys = [Key(seed, epoch, image, *shift, flip) for image, shift, flip in drawn]
        made = []
        for batch in self.workers.batches([keys[start:stop] for start, stop in bounds]):
            if self.twice:
                made.append(batch)
            yield batch
        if self.twice:
            self._kept = (seed, epoch), made


def _windows(pixels: Tensor) -> Tensor:
    """All crops as a view [n, 9, 9, 32, 32, 3]; zero-pad before normalising, as torchvision's RandomCrop does."""
    count, height, width, channels = pixels.shape
    padded = torch.nn.functional.pad(pixels, (0, 0, PADDING, PADDING, PADDING, PADDING))
    image, row, column, channel = padded.stride()
    return padded.as_strided(
        (count, SHIFTS, SHIFTS, height, width, channels), (image, row, column, row, column, channel)
    )


class TestSet:
    """The test images on the device, in file order."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, normalise: Normalisation):
        self.pixels = to_pixels(images, normalise.mean.device)
        self.labels = torch.from_numpy(labels.astype(np.int64)).to(normalise.mean.device)
        self.normalise = normalise

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All images, unaugmented."""
        for start in range(0, len(self), batch_size):
            stop = start + batch_size
            yield Batch(self.normalise(self.pixels[start:stop]), self.labels[start:stop])
