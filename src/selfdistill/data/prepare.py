"""From a configured source to the prepared dataset."""

from collections.abc import Sequence
from pathlib import Path

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Archive
from selfdistill.data.archives import read_cifar10, read_cifar100
from selfdistill.data.digits import read_digits
from selfdistill.data.download import obtain_archive
from selfdistill.data.prepared import check_images, write_prepared
from selfdistill.system.lock import run_lock
from selfdistill.system.log import Log

READERS = {"cifar10": read_cifar10, "cifar100": read_cifar100}  # of archives


def prepare(dataset: str, archives: Sequence[Archive], output: Path, log: Log | None = None) -> None:
    """Write the prepared dataset; downloads are kept in `archives/` beside it.

    Raises: Failure 65 for wrong content, 69 when no source can be reached, 73 while another process does it.
    """
    log = log or Log(None)
    with run_lock(output.with_name(f".{output.name}.lock")):
        if not DATASETS[dataset].archives:
            images = read_digits()
            check_images(output, dataset, images)
        else:
            path, archive = obtain_archive(archives, output.parent / "archives", log)
            log.say(f"{path}: SHA-256 {archive.sha256} as expected")
            images = READERS[dataset](path, archive.sha256)
            check_images(path, dataset, images)
        write_prepared(output, dataset, images)
    log.say(f"{output}: {len(images.train_labels)} training and {len(images.test_labels)} test images")
