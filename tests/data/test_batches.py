import pytest
import torch
from helpers.images import COUNT, MEAN, NORMALISE, STD, epoch, images, training_set
from torchvision.transforms import functional as F

from selfdistill.data import batches
from selfdistill.data.batches import batch_bounds, epoch_plan, to_pixels


def reference(image, shift, flip, augmentation):
    """One image as torchvision's transforms make it: pad, crop, flip, to tensor, normalise."""
    image = torch.from_numpy(image)
    if "crop" in augmentation:
        image = F.crop(F.pad(image, [4, 4, 4, 4]), *shift.tolist(), 32, 32)
    if "flip" in augmentation and flip:
        image = F.hflip(image)
    return F.normalize(F.to_tensor(image.permute(1, 2, 0).numpy()), MEAN, STD)


@pytest.mark.parametrize("augmentation", [(), ("crop",), ("flip",), ("crop", "flip"), ("flip", "crop")])
def test_a_batch_is_torchvisions_transforms_exactly(augmentation):
    pixels, _ = images()
    plan = epoch_plan(3, 2, COUNT)
    found, labels = epoch(training_set(augmentation), seed=3, number=2)
    assert next(training_set(augmentation).batches(0, 0, 16)).images.is_contiguous(memory_format=torch.channels_last)
    for image, label in zip(found, labels, strict=True):
        assert torch.equal(image, reference(pixels[label], plan.shifts[label], plan.flips[label], augmentation))


# Where batches begin and end


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        *((50_000, 128, [128] * 390 + [80]), (256, 128, [128, 128]), (130, 128, [128, 2])),
        *((257, 128, [128, 129]), (1, 128, [1]), (4, 1, [1, 1, 2])),
    ],
)
def test_only_a_rest_of_one_image_joins_the_batch_before(count, batch_size, sizes):
    assert [stop - start for start, stop in batch_bounds(count, batch_size)] == sizes


@pytest.mark.parametrize("batch_size", [1, 7, 49])
def test_every_image_comes_once_and_the_same_whatever_the_batch_size(batch_size):
    found, labels = epoch(training_set())
    assert sorted(labels.tolist()) == list(range(COUNT))
    again, their_labels = epoch(training_set(), batch_size=batch_size)
    assert torch.equal(their_labels, labels)
    assert torch.equal(again, found)


def test_the_order_is_that_of_an_epoch_and_a_seed_whatever_the_augmentation():
    order = epoch(training_set())[1].tolist()
    assert order == epoch(training_set(()))[1].tolist()
    for other in ({"number": 1}, {"seed": 1}):
        assert order != epoch(training_set(), **other)[1].tolist()


# The test set


@pytest.mark.parametrize("batch_size", [1, 16, 500])
def test_test_images_come_unaugmented_in_file_order(batch_size):
    parts = list(batches.TestSet(*images(), NORMALISE).batches(batch_size))
    assert torch.cat([part.labels for part in parts]).tolist() == list(range(COUNT))
    whole = NORMALISE(to_pixels(images()[0], torch.device("cpu")))
    assert torch.equal(torch.cat([part.images for part in parts]), whole)
