import numpy as np
import pytest
from sklearn.datasets import load_digits

from selfdistill.config.datasets import DATASETS
from selfdistill.data.digits import read_digits
from selfdistill.data.prepared import check_images


@pytest.fixture(scope="module")
def digits():
    return read_digits()


def test_digits_are_the_dataset_that_the_configuration_describes(digits):
    check_images("digits", "digits", digits)
    assert (len(digits.train_labels), len(digits.test_labels)) == (1437, 360)
    assert DATASETS["digits"].smallest_class == np.bincount(digits.train_labels).min()


def test_all_1797_scans_are_used_once(digits):
    corners = np.concatenate([digits.train_images, digits.test_images])[:, 0, ::4, ::4]
    expected = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(map(bytes, corners)) == sorted(map(bytes, expected))


def test_every_fifth_image_is_a_test_image(digits):
    target = load_digits().target
    assert digits.test_labels.tolist() == target[::5].tolist()
    assert digits.train_labels.tolist() == [label for index, label in enumerate(target) if index % 5]
    grey = digits.test_images[1, 0, ::4, ::4]
    assert grey.tolist() == np.rint(load_digits().images[5] * 255 / 16).tolist()


def test_a_scans_pixel_becomes_four_by_four_in_three_equal_channels(digits):
    blocks = digits.train_images.reshape(-1, 3, 8, 4, 8, 4)
    assert (blocks == blocks[:, :1, :, :1, :, :1]).all()
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 255)
