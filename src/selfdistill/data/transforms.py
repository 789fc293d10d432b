"""Augmentations beyond crop and flip: torchvision's own transforms on single images, in worker processes."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import AutoAugment, AutoAugmentPolicy, ColorJitter, RandomErasing, RandomRotation
from torchvision.transforms.functional import pil_to_tensor

from selfdistill.data.randomness import seed_of
from selfdistill.system.failures import OUT_OF_MEMORY, UNAVAILABLE, Failure
from selfdistill.system.stop import REQUEST, SIGNALS

# In the order in which they are applied, with the published notebooks' values; erasing comes after normalising.
ON_PIXELS = {
    "rotation": lambda: RandomRotation(15),
    "autoaugment": lambda: AutoAugment(AutoAugmentPolicy.CIFAR10),
    "color_jitter": lambda: ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
}
ERASING = "random_erasing"
AHEAD = 4  # batches that each worker may be ahead
LOOK = 5  # seconds between checks for signals during a wait for a batch
LONGEST_WAIT = 300  # seconds for one batch; counted in checks, so that a pause of the trainer does not count


class Key(NamedTuple):
    """An image of an epoch, with its random choices from the plan."""

    seed: int
    epoch: int
    image: int
    down: int
    right: int
    flip: bool


class Transform:
    """One image's augmentation. It depends only on the key, so the number of workers changes nothing.

    windows: all crops [n, rows, columns, 32, 32, 3] uint8, [n, 1, 1, 32, 32, 3] without cropping.
    """

    def __init__(self, windows: Tensor, names: Sequence[str]):
        self.windows = windows
        self.steps = [make() for name, make in ON_PIXELS.items() if name in names]
        self.erase = RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0) if ERASING in names else None

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """The pixels [32, 32, 3] uint8, and where they are erased [32, 32] bool."""
        pixels = self.windows[key.image, key.down, key.right]
        if key.flip:
            pixels = pixels.flip(1)
        image = Image.fromarray(pixels.numpy())
        # torchvision draws from the global generator, whose state is restored.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(key.seed, f"transforms/{key.epoch}", key.image))
            for step in self.steps:
                image = step(image)
            kept = torch.ones(1, *pixels.shape[:2])
            if self.erase:
                kept = self.erase(kept)
        return pil_to_tensor(image).permute(1, 2, 0), kept[0] == 0


class Workers:
    """Processes that transform batches ahead of the training; with 0, this process transforms them itself."""

    def __init__(self, transform: Transform, count: int, *, pin: bool):
        self.transform, self.count, self.pin = transform, count, pin
        self.order: list[list[Key]] = []  # the batches of the present epoch, which the loader reads
        self.loader: DataLoader | None = None

    def batches(self, keys: list[list[Key]]) -> Iterator[tuple[Tensor, Tensor]]:
        """The transformed batches of these keys, in their order; one epoch at a time.

        Raises: Failure 71 when a worker cannot be started or was killed, 69 when no worker returns a batch any more;
        Stopped when no batch came after a signal.
        """
        self.order[:] = keys
        try:
            self.loader = self.loader or self._loader()
            for pixels, erased in self._awaited(iter(self.loader)):
                yield self._tensor(pixels), self._tensor(erased)
        except (OSError, RuntimeError) as error:
            if not self.count or str(error).startswith("Caught"):  # an error inside a worker, not of its process
                raise
            what = f"{self.count} worker processes cannot run here ({str(error).splitlines()[0]})"
            raise Failure("workers", what, "reduce workers; 0 uses no processes", code=OUT_OF_MEMORY) from error

    def _awaited(self, batches: Iterator[tuple[np.ndarray, ...]]) -> Iterator[tuple[np.ndarray, ...]]:
        """The batches; a wait for one checks for signals and has an end."""
        looks = 0
        while looks * LOOK < LONGEST_WAIT:
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                if "timed out" not in str(error):
                    raise
                REQUEST.stop_if_asked()
                looks += 1
                continue
            if batch is None:
                return
            yield batch
            looks = 0
        what = f"{self.count} worker processes returned no batch for {LONGEST_WAIT} s"
        raise Failure("workers", what, "reduce workers; 0 uses no processes", code=UNAVAILABLE)

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor.pin_memory() if self.pin else tensor

    def _loader(self) -> DataLoader:
        ahead = {"prefetch_factor": AHEAD, "timeout": LOOK, "worker_init_fn": _listen_to_the_trainer}
        return DataLoader(
            self.transform,
            batch_sampler=self.order,
            collate_fn=_as_arrays,
            num_workers=self.count,
            persistent_workers=self.count > 0,
            generator=torch.Generator(),  # else it would draw from the global one
            **(ahead if self.count else {}),
        )


def _as_arrays(images: list[tuple[Tensor, Tensor]]) -> tuple[np.ndarray, ...]:
    """A batch: pixels [batch, 32, 32, 3] and erased [batch, 32, 32].

    Arrays come through a pipe; tensors would come through shared memory, of which a container may have little.
    """
    return tuple(torch.stack(parts).numpy() for parts in zip(*images, strict=True))


def _listen_to_the_trainer(worker: int) -> None:
    """Ignore signals to the whole process group: the trainer handles them and may still need this worker's batches.
    Only a SIGTERM from the trainer itself ends the worker (on macOS, which does not tell the sender, any SIGTERM).
    """
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_the_trainer, args=(os.getppid(),), daemon=True).start()


def _end_with_the_trainer(trainer: int) -> None:
    """End at the trainer's SIGTERM, or when it is gone: a batch that nobody reads would block the worker for ever."""
    while os.getppid() == trainer:
        received = signal.sigtimedwait({signal.SIGTERM}, LOOK)
        if received is not None and received.si_pid == trainer:
            break
    os._exit(0)
