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


def test_every_scan_is_used_once_enlarged_in_grey_and_each_fifth_is_a_test_image(digits):
    scans, labels = load_digits().images, load_digits().target
    grey = np.rint(scans * 255 / 16).astype(np.uint8)[:, None]
    images, is_test = grey.repeat(3, 1).repeat(4, 2).repeat(4, 3), np.arange(1797) % 5 == 0
    expected = images[~is_test], labels[~is_test], images[is_test], labels[is_test]
    assert all(np.array_equal(*pair) for pair in zip(digits, expected, strict=True))
