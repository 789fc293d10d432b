"""The networks that a method can name: models, stems and heads. Imports no torch."""

from typing import NamedTuple

MODELS = {"resnet18": "ResNet18", "resnet50": "ResNet50"}  # name -> title
HEADS = ("fc", "conv1x1", "bottleneck")
FINAL_HEADS = ("fc", "conv1x1")


class Stem(NamedTuple):
    """A network's first layers: one convolution, and torchvision's max-pooling or none.

    words: its description; kernel, stride, padding: of the convolution, in pixels.
    """

    words: str
    kernel: int
    stride: int
    padding: int
    pools: bool

    @property
    def usual(self) -> bool:
        """Whether this is torchvision's own stem."""
        return self.kernel == 7

    def code(self, width: int) -> str:
        """The constructor of the convolution in `nn`; width: channels of the first stage."""
        return f"nn.Conv2d(3, {width}, {self.kernel}, {self.stride}, {self.padding}, bias=False)"

    def replacement(self, width: int) -> str:
        """What to replace in torchvision's ResNet before weights with this stem are loaded."""
        if self.usual:
            return "nothing to replace"
        return f"conv1 = torch.{self.code(width)}" + ("" if self.pools else "; maxpool = torch.nn.Identity()")


STEMS = {
    "cifar": Stem("a 3x3 first convolution of stride 1 and no max-pooling", 3, 1, 1, False),
    "cifar_pool": Stem("a 3x3 first convolution of stride 1 and torchvision's max-pooling", 3, 1, 1, True),
    "imagenet": Stem("torchvision's first convolution and max-pooling", 7, 2, 3, True),
}
