import re

import pytest

from selfdistill.config.datasets import DATASETS, official
from selfdistill.config.load import validate
from selfdistill.data.prepare import READERS


@pytest.mark.parametrize("name", DATASETS)
def test_a_record_agrees_with_itself(name):
    dataset = DATASETS[name]
    assert len(set(dataset.classes)) == len(dataset.classes)
    assert dataset.smallest_class * len(dataset.classes) <= dataset.train
    assert dataset.balanced == (name != "digits")
    assert (name in READERS) == bool(dataset.archives)
    assert all(official(sha256) == name for sha256 in dataset.archives)


def test_no_other_module_compares_a_datasets_name(repository):
    """Adding a dataset is one record. What is said of CIFAR-10 alone is the paper's."""
    found = set()
    for path in sorted((repository / "src/selfdistill").rglob("*.py")):
        if re.search(r"""[!=]= ["'](?:digits|cifar100?)["']|["'](?:digits|cifar100)["']:""", path.read_text()):
            found.add(str(path.relative_to(repository / "src/selfdistill")))
    assert found <= {"config/datasets.py", "data/prepare.py"}


def test_a_dataset_has_its_own_normalisation_unless_another_is_named(values, protocol):
    assert validate(values).data.std == (0.2023, 0.1994, 0.2010)  # the notebooks'
    values["data"] |= {"mean": None, "std": None}
    assert validate(values).data.std == DATASETS["cifar10"].std == (0.2470, 0.2435, 0.2616)
    for name in ("controlled", "cifar100", "demo"):
        data = protocol(name).data
        assert (data.mean, data.std) == DATASETS[data.dataset][5:7]
