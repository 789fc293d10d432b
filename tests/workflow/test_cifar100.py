"""CIFAR-100 from its archive to the table, on a made archive of the official layout and counts."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from helpers.snakemake_runs import Workflow
from safetensors.numpy import load_file

from selfdistill.system.files import sha256_of

SHORT = {"batch_size": 50, "stem": "imagenet", "epochs": 1}


def colours(labels):
    """Images of one colour for each class, as records' pixels."""
    levels = np.stack([labels * 2, 255 - labels * 2, labels % 10 * 25], 1).astype(np.uint8)
    return levels.repeat(1024, axis=1)


def archive(path: Path) -> Path:
    """50,000 training and 10,000 test records, as many of each class, in the official layout."""
    with tarfile.open(path, "w:gz", compresslevel=1) as made:
        for name, count in (("train", 50_000), ("test", 10_000)):
            fine = np.arange(count) % 100
            labels = np.stack([fine // 5, fine], 1).astype(np.uint8)
            content = np.concatenate([labels, colours(fine)], 1).tobytes()
            info = tarfile.TarInfo(f"cifar-100-binary/{name}.bin")
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return path


def test_cifar100_from_its_archive_to_the_table(tmp_path):
    path = archive(tmp_path / "cifar-100-binary.tar.gz")
    workflow = Workflow.make(tmp_path / "checkout")
    data = {"train_images": 200, "archives": [{"path": str(path), "sha256": sha256_of(path)}]}
    methods = dict.fromkeys(("teacher", "kd", "self_distillation", "control"), SHORT)
    # One thread: those of two would wait for each other where the other tests have the second processor.
    mine = workflow.write("mine.yaml", json.dumps({"data": data, "methods": methods, "threads": 1}))
    workflow.run("table", protocol="cifar100", files=(mine,))
    prepared = load_file(workflow.folder / "results/data/cifar100.safetensors")
    assert np.bincount(prepared["train_labels"]).tolist() == [500] * 100
    assert np.bincount(prepared["test_labels"]).tolist() == [100] * 100
    assert (prepared["test_images"][42].reshape(-1) == colours(np.array([42]))[0]).all()

    report = workflow.folder / "report/cifar100"
    table = (report / "table1.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["teacher", "kd", "self_distillation", "control"]
    assert "CIFAR-100 (fine classes) instead of CIFAR-10" in (report / "table1.md").read_text()
    assert "90.1" not in (report / "table1_float.tex").read_text()  # nothing is compared with the paper's numbers
