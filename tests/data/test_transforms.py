"""Augmentations beyond crop and flip are torchvision's, the same whatever the workers, batches and resumes."""

import os
import resource
import signal
import time

import pytest
import torch
from helpers.images import COUNT, MEAN, STD, epoch, images, training_set
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

from selfdistill.data import transforms as module
from selfdistill.data.batches import epoch_plan
from selfdistill.data.randomness import seed_of
from selfdistill.data.transforms import Transform, Workers
from selfdistill.system.stop import Stopped

TEACHER = ("crop", "flip", "rotation", "color_jitter", "random_erasing")  # the published notebooks'
STUDENT = ("crop", "flip", "autoaugment", "random_erasing")
NOTEBOOK = {
    "rotation": T.RandomRotation(15),
    "autoaugment": T.AutoAugment(T.AutoAugmentPolicy.CIFAR10),
    "color_jitter": T.ColorJitter(0.2, 0.2, 0.2),
}


def as_a_notebook_does(pixels, label, augmentation, seed, number):
    """One image through PIL and torchvision's transforms in the notebooks' order, from the same draws."""
    plan = epoch_plan(seed, number, COUNT)
    image = F.pad(Image.fromarray(pixels.transpose(1, 2, 0)), 4)
    image = F.crop(image, *plan.shifts[label].tolist(), 32, 32)
    image = F.hflip(image) if plan.flips[label] else image
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, f"transforms/{number}", label))
        for name, transform in NOTEBOOK.items():
            image = transform(image) if name in augmentation else image
        tensor = F.normalize(F.to_tensor(image), MEAN, STD)
        if "random_erasing" in augmentation:
            tensor = T.RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0)(tensor)
    return tensor


@pytest.mark.parametrize("augmentation", [TEACHER, STUDENT], ids=["teacher", "student"])
def test_a_batch_is_what_the_notebooks_transforms_make(augmentation):
    pixels, _ = images()
    found, labels = epoch(training_set(augmentation), number=2, seed=3)
    assert next(training_set(augmentation).batches(0, 0, 16)).images.is_contiguous(memory_format=torch.channels_last)
    for image, label in zip(found, labels.tolist(), strict=True):
        assert torch.equal(image, as_a_notebook_does(pixels[label], label, augmentation, 3, 2))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(workers):
    one, many = training_set(STUDENT), training_set(STUDENT, workers)
    for number in (0, 1):
        for here, there in zip(epoch(one, number), epoch(many, number), strict=True):
            assert torch.equal(here, there)


@pytest.mark.slow
def test_workers_that_are_spawned_as_on_macos_make_the_same():
    data = training_set(TEACHER, workers=2)
    data.workers.loader = data.workers._loader()
    data.workers.loader.multiprocessing_context = "spawn"
    for here, there in zip(epoch(data), epoch(training_set(TEACHER)), strict=True):
        assert torch.equal(here, there)


def test_neither_the_batch_size_nor_the_global_generator_matters():
    before = torch.get_rng_state()
    whole = epoch(training_set(TEACHER))
    assert torch.equal(torch.get_rng_state(), before)
    for batch_size in (1, COUNT):
        for here, there in zip(whole, epoch(training_set(TEACHER), 0, batch_size), strict=True):
            assert torch.equal(here, there)


def test_the_second_pass_over_an_epoch_takes_what_the_first_has_made(monkeypatch):
    data = training_set(STUDENT, twice=True)
    first = epoch(data, 1, batch_size=50)
    monkeypatch.setattr(Transform, "__getitem__", None)  # nothing is transformed any more
    for here, there in zip(first, epoch(data, 1, batch_size=16), strict=True):
        assert torch.equal(here, there)


def test_what_was_kept_is_of_that_epoch_and_seed_only_and_whole():
    data, fresh = training_set(STUDENT, workers=1, twice=True), training_set(STUDENT)
    next(data.batches(0, 0, 16))  # an epoch that is broken off
    for seed, number in ((0, 0), (0, 1), (1, 1)):
        assert torch.equal(epoch(data, number, seed=seed)[0], epoch(fresh, number, seed=seed)[0])


# Worker processes on a machine that lacks something


def test_workers_need_no_shared_memory():
    """A file of shared memory falls under the limit on file sizes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        found = epoch(training_set(STUDENT, workers=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.equal(found[0], epoch(training_set(STUDENT))[0])


@pytest.fixture
def stuck(monkeypatch):
    """A training set whose worker needs more time for a batch than the trainer waits."""
    monkeypatch.setattr(module, "LOOK", 0.2)
    monkeypatch.setattr(module, "AHEAD", 1)
    monkeypatch.setattr(Transform, "__getitem__", lambda self, key: time.sleep(0.1))
    return training_set(STUDENT, workers=1)


def test_waiting_for_a_worker_ends(stuck, refused, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.4)
    with refused(69, "error: workers: 1 worker processes returned no batch for 0.4 s; reduce workers"):
        epoch(stuck)


def test_a_signal_ends_the_wait_for_a_worker(stuck, monkeypatch):
    batches = stuck.batches(0, 0, 16)
    monkeypatch.setattr(module.REQUEST, "at", time.monotonic())
    with pytest.raises(Stopped):
        next(batches)


def test_a_killed_worker_is_told_by_its_key(refused, monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.2)
    monkeypatch.setattr(Transform, "__getitem__", lambda self, key: os.kill(os.getpid(), signal.SIGKILL))
    with refused(71, "error: workers: 1 worker processes cannot run here", "reduce workers"):
        epoch(training_set(STUDENT, workers=1))


def test_workers_that_cannot_be_started_are_told_by_their_key(refused, monkeypatch):
    def none(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", none)
    with refused(71, "error: workers: 2 worker processes cannot run here ([Errno 28] No space left on device)"):
        epoch(training_set(STUDENT, workers=2))


def test_an_error_in_a_transform_is_not_blamed_on_the_workers(monkeypatch):
    def told(self):
        yield from ()
        raise RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nOriginal: wrong")  # torch's words

    monkeypatch.setattr(Workers, "_loader", told)
    with pytest.raises(RuntimeError, match="wrong"):
        epoch(training_set(STUDENT, workers=1))
