"""Replicate "Self-Distillation in CNNs: A Comparison with Knowledge Distillation on CIFAR-10"."""

__version__ = "0.1.0"
