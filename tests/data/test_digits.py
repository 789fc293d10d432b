import numpy as np
from sklearn.datasets import load_digits

from selfdistill.config.datasets import DATASETS
from selfdistill.data.digits import read_digits


def test_every_scan_is_used_once_enlarged_in_grey_and_each_fifth_is_a_test_image():
    digits = read_digits()
    scans, labels = load_digits().images, load_digits().target
    grey = np.rint(scans * 255 / 16).astype(np.uint8)[:, None]
    images, is_test = grey.repeat(3, 1).repeat(4, 2).repeat(4, 3), np.arange(1797) % 5 == 0
    expected = images[~is_test], labels[~is_test], images[is_test], labels[is_test]
    assert all(np.array_equal(*pair) for pair in zip(digits, expected, strict=True))
    assert DATASETS["digits"].smallest_class == np.bincount(digits.train_labels).min()
