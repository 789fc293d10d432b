"""The parts of the configuration that single jobs read: a change affects only the jobs whose part it changes."""

import json
from pathlib import Path
from typing import Any, TypeVar

import yaml

from selfdistill.config import types as t
from selfdistill.config.block import Block
from selfdistill.config.datasets import DATASETS
from selfdistill.config.errors import checked
from selfdistill.config.networks import MODELS, STEMS
from selfdistill.config.optimiser import OptimiserSettings
from selfdistill.config.reading import read_yaml
from selfdistill.config.schema import Config

S = TypeVar("S", bound=Block)


class NetworkSettings(Block):
    """The settings that decide a network's shape; width: channels of the first stage."""

    model: t.one_of(*MODELS)
    stem: t.one_of(*STEMS)
    width: t.Width
    classes: t.Count


class TeacherSettings(NetworkSettings):
    """The network that teaches; members: size of an ensemble, None for a single teacher."""

    members: t.Count | None = None  # None keeps the settings equal to those of older runs

    @property
    def count(self) -> int:
        """The number of networks that teach."""
        return self.members or 1

    @property
    def network(self) -> NetworkSettings:
        """The settings of each network that teaches."""
        return NetworkSettings(**self.model_dump(exclude={"members"}))


class DataSettings(Block):
    """The images a run sees and how they are normalised."""

    dataset: t.one_of(*DATASETS)
    train_images: t.Count
    holdout_images: t.Count | None = None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def evaluated(self) -> str:
        """The images that a run is evaluated on, which also name its columns: `test`, or `holdout` if there is one."""
        return "holdout" if self.holdout_images else "test"


class RunSettings(OptimiserSettings):
    """A training job's settings.yaml: everything except the seed that decides its result.

    The protocol's name is no part of them, because two protocols may share a run.
    """

    method: t.Name
    data: DataSettings
    network: NetworkSettings
    zero_init_residual: bool
    heads: str | None = None
    final_head: str = "fc"
    teacher: TeacherSettings | None = None
    replaced_stem: t.ReplacedStem = False
    objective: str
    parameters: dict[str, bool | float]
    epochs: t.Count
    batch_size: t.Count
    augmentation: tuple[str, ...]
    precision: str
    kept_epoch: str = "last"
    label_noise: float = 0.0
    oddities: tuple[str, ...] = ()


def run_settings(config: Config, name: str) -> dict[str, Any]:
    """The settings of a method's training jobs, as plain values."""
    block = config.methods[name]
    own = {key: getattr(block, key) for key in RunSettings.model_fields if hasattr(block, key)}
    data = DataSettings(
        dataset=config.data.dataset,
        train_images=config.data.used_train_images,
        holdout_images=config.data.holdout_images or None,  # None keeps the settings equal to those of older runs
        mean=config.data.mean,
        std=config.data.std,
    )
    made = {"method": name, "data": data, "network": _network(config, name), "teacher": _teacher(config, name)}
    return RunSettings(**own | made).model_dump(mode="json", exclude_none=True)


def _network(config: Config, name: str) -> NetworkSettings:
    block = config.methods[name]
    classes = len(DATASETS[config.data.dataset].classes)
    return NetworkSettings(model=block.model, stem=block.stem, width=block.width, classes=classes)


def _teacher(config: Config, name: str) -> TeacherSettings | None:
    block = config.methods[name]
    if not hasattr(block, "teacher"):
        return None
    members = len(block.teacher_seed) if isinstance(block.teacher_seed, list) else None
    return TeacherSettings(**_network(config, block.teacher).model_dump(), members=members)


def to_yaml(values: dict[str, Any]) -> str:
    """Plain values as YAML, in the order given."""
    unshared = json.loads(json.dumps(values))  # so that no aliases are written, which our reader refuses
    return yaml.safe_dump(unshared, sort_keys=False, allow_unicode=True)


def read_settings(path: Path | str, model: type[S]) -> S:
    """The settings in a file that `write_settings` made.

    Raises: Failures (78) naming the file and each wrong key.
    """
    return checked(model, read_yaml(path), path, "rerun the rule that writes it")
