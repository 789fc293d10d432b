"""The datasets: one record each, with all facts that the project uses. Imports no torch.

To add a dataset, write a record here; a new layout of its archives also needs a reader in data/prepare.py.
"""

from typing import NamedTuple


class Dataset(NamedTuple):
    """A dataset of 32x32 pictures in `classes`, in the order of their labels.

    smallest_class: number of training images in the smallest class.
    archives: SHA-256 of each official archive -> its layout, `binary` or `python`; empty if scikit-learn has the data.
    copies: SHA-256 of prepared images that are known not to be the official ones -> how they differ.
    suite: name of our corrupted test images. shows, source, licence, flaws: texts for readers.
    """

    title: str
    train: int
    test: int
    smallest_class: int
    classes: tuple[str, ...]
    archives: dict[str, str]
    suite: str
    shows: str
    source: str
    licence: str
    flaws: tuple[str, ...]
    copies: dict[str, str] = {}  # noqa: RUF012 (a tuple's default, which nobody changes)

    @property
    def balanced(self) -> bool:
        """Whether all classes have equally many training images."""
        return self.smallest_class * len(self.classes) == self.train


CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = tuple(  # the fine classes, in the order of the alphabet
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
    bowl boy bridge bus butterfly camel can castle caterpillar cattle
    chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
    lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
    mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket
    rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
    """.split()  # noqa: SIM905
)
KRIZHEVSKY = {
    "shows": "32x32 colour photographs, one object each",
    "source": "Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images",
    "licence": "not stated; the authors ask to cite the technical report",
}
FOUND_ON_THE_WEB = "The photographs were collected from the web by English nouns and are not balanced."

PAPERS = "cifar10"  # the paper's dataset
DATASETS = {
    "cifar10": Dataset(
        title="CIFAR-10",
        train=50_000,
        test=10_000,
        smallest_class=5_000,
        classes=CIFAR10,
        archives={
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd": "binary",
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce": "python",
        },
        suite="CIFAR-10-C-12 (regenerated)",
        flaws=(
            "About 3 % of the test images have a near-duplicate among the training images (arXiv 1902.00423).",
            "On a new test set collected in the same way, networks lost 3 to 15 points (arXiv 1902.10811).",
            FOUND_ON_THE_WEB,
        ),
        copies={
            "db6b31d99c49c3a2cde67e6e1653473afefcfb4b9ab49bf2b25ba68377493fb4": "109 of 60,000, 23 of them in the test"
            " set, are copies that were decoded from JPEG"
        },
        **KRIZHEVSKY,
    ),
    "cifar100": Dataset(
        title="CIFAR-100 (fine classes)",
        train=50_000,
        test=10_000,
        smallest_class=500,
        classes=CIFAR100,
        archives={"58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec": "binary"},
        suite="CIFAR-100-C-12 (regenerated)",
        flaws=(
            "About 10 % of the test images have a near-duplicate among the training images (arXiv 1902.00423).",
            "Five classes are people (baby, boy, girl, man, woman). The network guesses age and gender from"
            " unbalanced photographs: do not use it for decisions about people.",
            FOUND_ON_THE_WEB,
        ),
        **KRIZHEVSKY,
    ),
    "digits": Dataset(
        title="scikit-learn's handwritten digits",
        train=1_437,
        test=360,
        smallest_class=133,
        classes=tuple("0123456789"),
        archives={},
        suite="digits-C-12 (regenerated)",
        shows="8x8 scans of single digits, light on dark, enlarged to 32x32",
        source="test set of Optical Recognition of Handwritten Digits (UCI, 1998, doi 10.24432/C50P49)",
        licence="CC BY 4.0",
        flaws=(
            "Training and test images come from the same few writers; accuracy on other writers may be lower.",
            "The network has not seen digits that are dark on light or off-centre.",
        ),
    ),
}


def official(sha256: str) -> str | None:
    """The dataset whose official archive has this SHA-256, None if there is none."""
    return next((name for name, dataset in DATASETS.items() if sha256 in dataset.archives), None)
