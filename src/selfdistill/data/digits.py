"""scikit-learn's handwritten digits as a dataset that needs no download (UCI "Optical Recognition", 1998)."""

from importlib.metadata import distribution

import numpy as np

from selfdistill.data.prepared import SIDE, Images


def read_digits() -> Images:
    """1,437 training and 360 test images: 8x8 scans enlarged to 32x32, grey in three equal channels.

    Every fifth image in scikit-learn's order is a test image.
    """
    # The file itself, because importing scikit-learn takes longer than everything else here.
    table = np.loadtxt(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz"), delimiter=",")
    scans, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.uint8)
    grey = np.rint(scans * (255 / 16)).astype(np.uint8)  # the scans have 17 grey levels
    large = grey.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
    images = np.repeat(large[:, None], 3, axis=1)
    test = np.arange(len(labels)) % 5 == 0
    return Images(images[~test], labels[~test], images[test], labels[test])
