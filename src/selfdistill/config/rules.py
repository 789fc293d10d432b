"""Rules between keys. A rule takes a configuration with valid types and yields its problems."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from selfdistill.config.datasets import DATASETS, official
from selfdistill.config.errors import Problem, unknown_name
from selfdistill.config.macros import macros_of
from selfdistill.config.methods import ODDITIES
from selfdistill.config.schema import Config


def broken_rules(config: Config) -> list[Problem]:
    """The problems between the keys of a configuration, in the order of the rules. Of untrained methods, only the
    teachers are checked.
    """
    problems = [problem for rule in RULES for problem in rule(config)]
    if any(place[0] == "rows" for place, _ in problems) or any(place[-1] == "teacher" for place, _ in problems):
        return problems  # which methods are trained is not known
    trained = dict.fromkeys(method for method, _ in config.runs())
    return problems + [problem for name in trained for rule in TRAINED for problem in rule(config, name)]


def _images(config: Config) -> Iterator[Problem]:
    """Counts of images that are a multiple of the number of classes, and not too large."""
    data, dataset = config.data, DATASETS[config.data.dataset]
    classes, whole = len(dataset.classes), data.used_train_images
    all_of_it = f"for {data.dataset}, or null for all {dataset.train}"
    for key, count, most, of in (
        ("train_images", data.train_images or 0, dataset.smallest_class * classes, all_of_it),
        ("holdout_images", data.holdout_images, whole // 2, f"(half of the {whole} training images)"),
    ):
        if count % classes or count > most:
            yield ("data", key), f"expected a multiple of {classes} up to {most} {of}, got {count}"


def _archives(config: Config) -> Iterator[Problem]:
    data = config.data
    if not DATASETS[data.dataset].archives:
        return
    if not data.archives:
        yield ("data", "archives"), f"expected at least one archive for {data.dataset}, got none"
    for index, archive in enumerate(data.archives):
        holds = official(archive.sha256) or data.dataset
        if holds != data.dataset:
            what = f"expected an archive of {data.dataset}, got the official one of {holds}"
            yield ("data", "archives", index, "sha256"), what


def _rows(config: Config) -> Iterator[Problem]:
    """Rows that are methods, with labels and LaTeX macros of their own."""
    for index, row in enumerate(config.rows):
        if row not in config.methods:
            yield unknown_name(("rows", index), row, config.methods)
            continue
        for other in config.rows[:index]:
            macros = macros_of(row)
            if shared := macros.keys() & macros_of(other).keys():
                what = f"expected a name with its own LaTeX macros, got {row!r} and {other!r}"
                yield ("rows", index), f"{what} (both have \\{macros[min(shared)]})"
            if other in config.methods and config.methods[other].label == config.methods[row].label:
                what = f"expected another label than that of {other}, got {config.methods[row].label!r}"
                yield ("methods", row, "label"), what


def _teachers(config: Config) -> Iterator[Problem]:
    """Unknown teachers, and a circle of teachers."""
    taught = {name: block.teacher for name, block in config.methods.items() if hasattr(block, "teacher")}
    for name, teacher in taught.items():
        if teacher not in config.methods:
            yield unknown_name(("methods", name, "teacher"), teacher, config.methods)
    try:
        TopologicalSorter({name: [teacher] for name, teacher in taught.items()}).prepare()
    except CycleError as error:
        circle = error.args[1]
        what = f"expected a teacher that is not its own student, got {' -> '.join(circle)}"
        yield ("methods", circle[-1], "teacher"), what


def _ablations(config: Config) -> Iterator[Problem]:
    for title, path in config.ablations.items():
        for index, name in enumerate(path):
            if name not in config.methods:
                yield unknown_name(("ablations", title, index), name, config.methods)


def _logs(config: Config) -> Iterator[Problem]:
    if Path(config.logs).absolute() == Path("results", config.protocol).absolute():
        yield ("logs",), f"expected results, which trains what is missing, or another folder, got {config.logs}"


def _explanations(config: Config) -> Iterator[Problem]:
    if config.explanations and config.data.holdout_images:
        yield ("explanations",), "expected false with data.holdout_images, because they are measured on the test set"


def _same_augmentation(config: Config) -> Iterator[Problem]:
    """Rows with another augmentation than the first row's, if `same_augmentation` forbids it."""
    seen = {row: config.methods[row].augmentation for row in config.rows if row in config.methods}
    first = next(iter(seen), None)
    for row, augmentation in seen.items() if config.same_augmentation else ():
        if augmentation != seen[first]:
            what = f"expected {seen[first]} as in {first} (same_augmentation: true), got {augmentation}"
            yield ("methods", row, "augmentation"), what


def _precision(config: Config, name: str) -> Iterator[Problem]:
    precision = config.methods[name].precision
    if config.device == "cpu" and precision in ("fp16", "tf32"):
        yield ("methods", name, "precision"), f"expected auto, fp32 or bf16 with device cpu, got {precision!r}"


def _batch(config: Config, name: str) -> Iterator[Problem]:
    """Batches that are no larger than the dataset. With torchvision's stem they need two images, because batch
    normalisation gets one pixel per image in the last stage. (A single last image joins the batch before it.)
    """
    images, size, stem = config.data.epoch_images, config.methods[name].batch_size, config.methods[name].stem
    if images < 1:  # the hold-out is too large; another rule reports that
        return
    if size > images:
        yield ("methods", name, "batch_size"), f"expected at most the {images} training images, got {size}"
    elif stem == "imagenet" and size == 1:
        what = f"expected at least 2 with the {stem} stem, got 1"
        yield ("methods", name, "batch_size"), what


def _kept_epoch(config: Config, name: str) -> Iterator[Problem]:
    kept = config.methods[name].kept_epoch
    if kept == "last":
        return
    if config.data.holdout_images:
        what = f"expected last with data.holdout_images, because there is no test set, got {kept!r}"
        yield ("methods", name, "kept_epoch"), what
    if config.evaluate_every != 1:  # this key must not change which weights are kept
        what = f"expected 1 with methods.{name}.kept_epoch: {kept}, which needs every epoch"
        yield ("evaluate_every",), f"{what}, got {config.evaluate_every}"


def _nesterov(config: Config, name: str) -> Iterator[Problem]:
    if config.methods[name].nesterov and config.methods[name].momentum == 0:
        yield ("methods", name, "nesterov"), "expected false with momentum 0, got true"


def _feature_maps(config: Config, name: str) -> Iterator[Problem]:
    """A feature loss needs heads whose maps have as many channels as the deepest one."""
    method = config.methods[name]
    weight = getattr(method, "feature_weight", 0)
    heads = getattr(method, "heads", None), method.final_head
    if weight and heads not in (("conv1x1", "conv1x1"), ("bottleneck", "fc")):
        expected = "expected 0, or heads: bottleneck, or heads: conv1x1 with final_head: conv1x1"
        yield ("methods", name, "feature_weight"), f"{expected}, got {weight:g}"


def _oddities(config: Config, name: str) -> Iterator[Problem]:
    for oddity in sorted(set(config.methods[name].oddities) - set(config.oddities)):
        what = f"has an oddity of the published notebooks ({ODDITIES[oddity]}), expected oddities: [{oddity}]"
        yield ("methods", name), what


RULES = (_images, _archives, _rows, _teachers, _ablations, _logs, _explanations, _same_augmentation)
TRAINED = (_precision, _batch, _kept_epoch, _nesterov, _feature_maps, _oddities)  # rules for each trained method
