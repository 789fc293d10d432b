"""The keys of the optimiser, in a method's block and in the settings of its runs."""

from selfdistill.config import types as t
from selfdistill.config.block import Block


class OptimiserSettings(Block):
    """Stochastic gradient descent and its learning rate; class result. training/components.py builds it from them."""

    learning_rate: t.LearningRate
    schedule: t.one_of("cosine")
    momentum: t.BelowOne
    nesterov: t.Switch
    weight_decay: t.NonNegative
