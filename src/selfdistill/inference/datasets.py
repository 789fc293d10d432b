"""What a reader of a prediction or of a model card must know of a dataset. Imports no torch."""

from typing import NamedTuple

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
        classes=tuple("0123456789"),
        shows="8x8 scans of single digits, light on dark, enlarged to 32x32",
        source="test set of Optical Recognition of Handwritten Digits (UCI, 1998, doi 10.24432/C50P49)",
        licence="CC BY 4.0",
        flaws=(
            "Training and test images come from the same few writers: a new hand may be read worse.",
            "A digit that is dark on light, or not in the middle, is nothing that the network has seen.",
        ),
    ),
}
