"""Smoothness of the decision (M3): what becomes of a prediction when the image changes a little.

A `Predict` maps float32 pixels [n, 32, 32, 3] in [0, 1] to logits [n, classes]; it normalises them itself. Pixels
are given as uint8, as they lie in the data files.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfdistill.data.batches import PADDING, Normalisation, epoch_plan
from selfdistill.data.randomness import generator
from selfdistill.mechanisms.answers import batches, evaluating, final_logits

Predict = Callable[[Tensor], Tensor]


def predictor(network: nn.Module, normalise: Normalisation) -> Predict:
    """A network in evaluation mode as a function of pixels, batch by batch; it sees the bits that `evaluate` shows."""

    def predict(pixels: Tensor) -> Tensor:
        with torch.no_grad(), evaluating(network):
            images = ((some.permute(0, 3, 1, 2) - normalise.mean) / normalise.std for (some,) in batches(pixels))
            return torch.cat([final_logits(network, some) for some in images])

    return predict


def flip_rate(predict: Predict, pixels: Tensor, sizes: Sequence[float], seed: int) -> list[float]:
    """Share of the predictions that change under N(0, size^2) on every pixel, clipped to [0, 1]; for each size in turn.

    sizes: standard deviations in units of [0, 1] pixels. The noise is drawn on the CPU, so alike on every device.
    """
    clean = pixels.float() / 255
    predicted = predict(clean).argmax(1)
    rates = []
    for index, size in enumerate(sizes):
        noise = torch.randn(clean.shape, generator=generator(seed, "pixels", index)).to(clean.device)
        changed = predict((clean + size * noise).clamp(0, 1)).argmax(1) != predicted
        rates.append(changed.double().mean().item())
    return rates


def margin_gradient_norm(network: nn.Module, images: Tensor) -> float:
    """Mean L2 norm of the gradient of the margin (top logit minus runner-up) with respect to the normalised images
    [n, 3, height, width]. It grows with the scale of the logits.
    """
    norms = []
    with evaluating(network):
        for (some,) in batches(images):
            inputs = some.detach().clone().requires_grad_()
            top, second = final_logits(network, inputs).topk(2).values.unbind(1)
            (gradient,) = torch.autograd.grad((top - second).sum(), inputs)
            norms.append(gradient.flatten(1).norm(dim=1))
    return torch.cat(norms).double().mean().item()


def view_consistency(predict: Predict, pixels: Tensor, views: int = 8, seed: int = 0) -> float:
    """Share of the images that are given the same class in all of so many random views.

    A view is what training shows in an epoch: a window of the image padded by 4 zeros, flipped half of the time.
    """
    predicted = torch.stack([predict(_view(pixels, seed, view).float() / 255).argmax(1) for view in range(views)])
    return (predicted == predicted[0]).all(0).double().mean().item()


def _view(pixels: Tensor, seed: int, view: int) -> Tensor:
    """[n, height, width, 3] uint8, cropped and flipped as in an epoch of this number."""
    count, height, width, _ = pixels.shape
    plan = epoch_plan(seed, view, count)
    shifts, flips = plan.shifts.to(pixels.device), plan.flips.to(pixels.device)
    padded = F.pad(pixels, (0, 0, PADDING, PADDING, PADDING, PADDING))
    images = torch.arange(count, device=pixels.device).view(-1, 1, 1)
    rows = shifts[:, :1, None] + torch.arange(height, device=pixels.device).view(1, -1, 1)
    columns = shifts[:, 1:, None] + torch.arange(width, device=pixels.device).view(1, 1, -1)
    window = padded[images, rows, columns]
    return torch.where(flips.view(-1, 1, 1, 1), window.flip(2), window)
