"""What every network of the project returns."""

from typing import NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """Logits [batch, classes] of every classifier.

    auxiliary: from shallow to deep, empty without auxiliary classifiers.
    features: feature maps [batch, channels, height, width], for objectives that compare them, otherwise empty.
    """

    final: Tensor
    auxiliary: tuple[Tensor, ...] = ()
    features: tuple[Tensor, ...] = ()
