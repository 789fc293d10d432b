"""The measured cases: networks and objectives of the paper."""

from typing import NamedTuple

from selfdistill.config.settings import NetworkSettings

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
RATE, MOMENTUM, DECAY = 0.1, 0.9, 5e-4
TEMPERATURE, KD_ALPHA, SELF_ALPHA = 4.0, 0.5, 0.3


class Case(NamedTuple):
    """A network with its objective: cross_entropy, knowledge_distillation or self_distillation."""

    name: str
    network: NetworkSettings
    objective: str = "cross_entropy"
    teacher: NetworkSettings | None = None

    @property
    def heads(self) -> str | None:
        """The kind of auxiliary classifiers."""
        return "fc" if self.objective == "self_distillation" else None

    @property
    def parameters(self) -> dict[str, float]:
        """The objective's keyword arguments, for Eq. (3) and (7)."""
        if self.objective == "cross_entropy":
            return {}
        alpha = SELF_ALPHA if self.heads else KD_ALPHA
        return {"temperature": TEMPERATURE, "cross_entropy_weight": alpha, "distillation_weight": 1 - alpha}


def network(model: str, stem: str) -> NetworkSettings:
    """A network of the paper's width."""
    return NetworkSettings(model=model, stem=stem, width=64, classes=10)


CIFAR18, IMAGENET18, IMAGENET50 = (
    network("resnet18", "cifar"),
    network("resnet18", "imagenet"),
    network("resnet50", "imagenet"),
)
CASES = [
    Case("ResNet18, CIFAR stem", CIFAR18),
    Case("ResNet18, ImageNet stem", IMAGENET18),
    Case("ResNet50, ImageNet stem", IMAGENET50),
    Case("KD, ResNet50 to ResNet18", CIFAR18, "knowledge_distillation", IMAGENET50),
    Case("self-distillation, ResNet18", CIFAR18, "self_distillation"),
]
