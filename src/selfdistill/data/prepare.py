"""From a configured source to the prepared dataset."""

from collections.abc import Sequence
from pathlib import Path

from selfdistill.config.datasets import DATASETS
from selfdistill.config.schema import Archive
from selfdistill.data.archives import read_cifar10, read_cifar100
from selfdistill.data.digits import read_digits
from selfdistill.data.download import obtain_archive
from selfdistill.data.prepared import check_images, read_prepared, write_prepared
from selfdistill.system.failures import Failure
from selfdistill.system.files import link, remove, sync_folder
from selfdistill.system.lock import run_lock
from selfdistill.system.log import Log

READERS = {"cifar10": read_cifar10, "cifar100": read_cifar100}  # of archives
KEPT = ".kept"  # folder beside the data: prepared files, by the SHA-256 of their archive


def prepare(dataset: str, archives: Sequence[Archive], output: Path, log: Log | None = None) -> None:
    """Write the prepared dataset; downloads are kept in `archives/` beside it.

    Snakemake removes the output before this is called, and again when it fails. So the prepared file is kept under a
    second name. It is put back if its archive is the first of the list, or if no archive is available.
    Raises: Failure 65 for wrong content, 69 when no source can be reached, 73 while another process prepares it.
    """
    log = log or Log(None)
    with run_lock(output.with_name(f".{output.name}.lock")):
        if not DATASETS[dataset].archives:
            write_prepared(output, dataset, read_digits())
        elif not any(_put_back(dataset, archive, output, log) for archive in archives[:1]):
            try:
                _from_archive(dataset, *obtain_archive(archives, output.parent / "archives", log), output, log)
            except Failure:
                if not any(_put_back(dataset, archive, output, log) for archive in archives[1:]):
                    raise
    log.say(f"{output}: {DATASETS[dataset].train} training and {DATASETS[dataset].test} test images")


def _from_archive(dataset: str, path: Path, archive: Archive, output: Path, log: Log) -> None:
    """Prepare the data from an archive that was obtained."""
    log.say(f"{path}: SHA-256 {archive.sha256} as expected")
    images = READERS[dataset](path, archive.sha256)
    check_images(path, dataset, images)
    kept = _kept(archive, output)
    write_prepared(kept, dataset, images)
    link(kept, output)
    sync_folder(output.parent)


def _put_back(dataset: str, archive: Archive, output: Path, log: Log) -> bool:
    """Put the file that was prepared from this archive back; False if there is none or it is damaged."""
    kept = _kept(archive, output)
    if not kept.is_file():
        return False
    try:
        read_prepared(kept, dataset)
    except Failure as damaged:
        log.say(f"{damaged.where}: {damaged.what}; preparing it again")
        remove(kept)
        return False
    link(kept, output)
    sync_folder(output.parent)
    log.say(f"already prepared from the archive with SHA-256 {archive.sha256}")
    return True


def _kept(archive: Archive, output: Path) -> Path:
    """The path of the kept file that was prepared from an archive."""
    return output.parent / KEPT / f"{archive.sha256}.safetensors"
