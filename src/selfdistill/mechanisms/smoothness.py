"""Smoothness of the decision boundary: how predictions change under small changes of the image.

A `Predict` maps float32 pixels [n, 32, 32, 3] in [0, 1] to logits [n, classes]; it normalises them itself. Pixels
are uint8, as in the data files.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from selfdistill.data.batches import Normalisation
from selfdistill.data.randomness import generator
from selfdistill.mechanisms.answers import batches, final_logits

Predict = Callable[[Tensor], Tensor]
DRAW = 1  # index of the noise; another one would change the published numbers


def predictor(network: nn.Module, normalise: Normalisation) -> Predict:
    """A network in evaluation mode as a function of pixels, in batches, with the same normalisation as `evaluate`."""

    def predict(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            images = ((some.permute(0, 3, 1, 2) - normalise.mean) / normalise.std for (some,) in batches(pixels))
            return torch.cat([final_logits(network, some) for some in images])

    return predict


def flip_rate(predict: Predict, pixels: Tensor, size: float, seed: int) -> float:
    """Share of the predictions that change under N(0, size^2) on every pixel, clipped to [0, 1].

    size: standard deviation in units of [0, 1] pixels. The noise is drawn on the CPU, so equal on every device.
    """
    clean = pixels.float() / 255
    noise = torch.randn(clean.shape, generator=generator(seed, "pixels", DRAW)).to(clean.device)
    predicted, noisy = (predict(some).argmax(1) for some in (clean, (clean + size * noise).clamp(0, 1)))
    return (noisy != predicted).double().mean().item()


def margin_gradient_norm(network: nn.Module, images: Tensor) -> float:
    """Mean L2 norm of the gradient of the margin (top logit minus runner-up) with respect to the normalised images
    [n, 3, height, width]. It grows with the scale of the logits.
    """
    norms = []
    for (some,) in batches(images):
        inputs = some.detach().clone().requires_grad_()
        top, second = final_logits(network, inputs).topk(2).values.unbind(1)
        (gradient,) = torch.autograd.grad((top - second).sum(), inputs)
        norms.append(gradient.flatten(1).norm(dim=1))
    return torch.cat(norms).double().mean().item()
