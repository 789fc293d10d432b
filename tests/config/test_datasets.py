import re

import pytest

from selfdistill.config.datasets import DATASETS, official
from selfdistill.data.prepare import READERS


@pytest.mark.parametrize("name", DATASETS)
def test_a_record_agrees_with_itself(name):
    dataset = DATASETS[name]
    assert list(dataset.classes) == sorted(set(dataset.classes))  # in the order of the labels
    assert dataset.smallest_class * len(dataset.classes) <= dataset.train
    assert dataset.balanced == (name != "digits")
    assert (name in READERS) == bool(dataset.archives)
    assert all(official(sha256) == name for sha256 in dataset.archives)


def test_no_other_module_compares_a_datasets_name(repository):
    """Adding a dataset is one record: no other code depends on a dataset's name."""
    found = set()
    for path in sorted((repository / "src/selfdistill").rglob("*.py")):
        if re.search(r"""[!=]= ["'](?:digits|cifar100?)["']|["'](?:digits|cifar100)["']:""", path.read_text()):
            found.add(str(path.relative_to(repository / "src/selfdistill")))
    assert found <= {"config/datasets.py", "data/prepare.py"}
