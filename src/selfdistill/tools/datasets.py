"""What a reader of a prediction or of a model card must know of a dataset. Imports no torch."""

from typing import NamedTuple

from selfdistill.config.classes import CIFAR10, CIFAR100, DIGITS


class Dataset(NamedTuple):
    """A dataset's name, class names in the order of the labels, what it shows, its source, its licence, its flaws."""

    title: str
    classes: tuple[str, ...]
    shows: str
    source: str
    licence: str
    flaws: tuple[str, ...]


KRIZHEVSKY = "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images"
NO_LICENCE = "its authors' page names none and asks to cite the technical report"
DATASETS = {
    "cifar10": Dataset(
        title="CIFAR-10",
        classes=CIFAR10,
        shows="32x32 colour photographs, one object each",
        source=KRIZHEVSKY,
        licence=NO_LICENCE,
        flaws=(
            "About 3 % of the test images have a near-duplicate among the training images (arXiv 1902.00423).",
            "On a new test set collected in the same way, networks lost 3 to 15 points (arXiv 1902.10811).",
            "The photographs were found on the web by English nouns; who and what is on them was not balanced.",
        ),
    ),
    "cifar100": Dataset(
        title="CIFAR-100 (fine classes)",
        classes=CIFAR100,
        shows="32x32 colour photographs, one object each",
        source=KRIZHEVSKY,
        licence=NO_LICENCE,
        flaws=(
            "About 10 % of the test images have a near-duplicate among the training images (arXiv 1902.00423).",
            "Five classes are people (baby, boy, girl, man, woman). The network guesses age and gender from pixels"
            " and learned it from photographs that nobody balanced: use it for no decision about a person.",
            "The photographs were found on the web by English nouns; who and what is on them was not balanced.",
        ),
    ),
    "digits": Dataset(
        title="scikit-learn's handwritten digits",
        classes=DIGITS,
        shows="8x8 scans of single digits, light on dark, enlarged to 32x32",
        source="test set of Optical Recognition of Handwritten Digits (UCI, 1998, doi 10.24432/C50P49)",
        licence="CC BY 4.0",
        flaws=(
            "Training and test images come from the same few writers: a new hand may be read worse.",
            "A digit that is dark on light, or not in the middle, is nothing that the network has seen.",
        ),
    ),
}
