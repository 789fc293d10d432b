"""What the fork server loads once, so that a trial costs a fork and no imports.

A step warms torch up, and a figure matplotlib, which loads what embeds fonts only when it saves one.
"""

import jinja2  # noqa: F401
import pandas  # noqa: F401
import requests  # noqa: F401
import torch

from selfdistill import cli
from selfdistill.data import archives, download, prepare  # noqa: F401
from selfdistill.models.network import build_network
from selfdistill.report import curves, plotting, table1  # noqa: F401
from selfdistill.training import job, provenance, run, start  # noqa: F401

torch.set_num_threads(1)


def warm_up() -> None:
    """One training step of a tiny network, and a figure."""
    from selfdistill.config.settings import NetworkSettings

    settings = NetworkSettings(model="resnet18", stem="cifar", width=1, classes=10)
    network = build_network(settings, None, zero_init_residual=False, seed=0)
    network(torch.zeros(2, 3, 32, 32)).final.sum().backward()
    with plotting.styled():
        figure, _ = plotting.canvas(1, 1)
        plotting.saved(figure)


warm_up()
provenance.code_fingerprint()
assert cli
