"""Weights in safetensors files under torchvision's key names, with one metadata key that describes them."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from selfdistill.config.errors import validated
from selfdistill.config.networks import STEMS
from selfdistill.config.settings import NetworkSettings
from selfdistill.models.resnet import build_backbone
from selfdistill.system.failures import Failure
from selfdistill.system.files import SEAL, canonical_json, read_file, sha256_bytes
from selfdistill.system.tensors import METADATA, read_metadata

UNSEALED = "0" * 64


def pack(tensors: dict[str, Tensor], facts: dict[str, Any]) -> bytes:
    """The bytes of a safetensors file; equal content gives equal bytes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(plain, {METADATA: canonical_json(facts)})


def unpack(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata in such a file.

    Raises: Failure 65 if it is damaged or not of this project.
    """
    try:
        return load(content), read_metadata(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else str(error)[:120]
        raise Failure(path, f"is not a safetensors file of this project ({why})") from error


def encode(tensors: dict[str, Tensor], facts: dict[str, Any]) -> bytes:
    """A file with its own checksum: the SHA-256 of the file with zeros in place of the checksum."""
    content = pack(tensors, facts | {SEAL: UNSEALED})
    return content.replace(UNSEALED.encode(), sha256_bytes(content).encode(), 1)


def decode(path: Path, content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the metadata of a file that `encode` made.

    Raises: Failure 65 if it is damaged, edited or not of this project.
    """
    tensors, facts = unpack(path, content)
    found = str(facts.pop(SEAL, None))
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise Failure(path, f"has no valid {SEAL}", "rerun the command that made it")
    expected = sha256_bytes(content.replace(found.encode(), UNSEALED.encode(), 1))
    if found != expected:
        what = f"differs from its own {SEAL} (expected {expected}, got {found})"
        raise Failure(path, what, "rerun the command that made it")
    return tensors, facts


def encode_weights(kept: dict[str, Tensor], settings: NetworkSettings, facts: dict[str, Any]) -> bytes:
    """The state of the network for inference. It loads strictly into torchvision's class after the stem is replaced
    as the metadata says; with widths other than 64, into the result of `build_backbone`.
    """
    described = {
        **settings.model_dump(),
        "torchvision_stem": STEMS[settings.stem].replacement(settings.width),
        **facts,
    }
    return encode(kept, described)


def read_weights(path: Path) -> tuple[nn.Module, NetworkSettings, dict[str, Any], str]:
    """The backbone in evaluation mode, its NetworkSettings, the file's metadata and its SHA-256.

    Raises: Failure 65 naming the file: unreadable, damaged, of another architecture, or not finite.
    """
    content = read_file(path)
    tensors, facts = decode(path, content)
    settings, problems = validated(NetworkSettings, {key: facts.get(key) for key in NetworkSettings.model_fields})
    if problems:
        raise Failure(path, f"its metadata describes no network ({problems[0][1]})")
    with torch.device("meta"):  # shapes without memory, because the metadata is not checked yet
        expected = build_backbone(settings).state_dict()
    check_tensors(path, tensors, expected)
    backbone = build_backbone(settings)
    backbone.load_state_dict(tensors)
    return backbone.eval(), settings, facts, sha256_bytes(content)


def check_tensors(path: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Refuse (Failure 65) tensors of other names, shapes or types than expected, and values that are not finite."""
    for name in sorted(expected.keys() ^ found.keys()):
        what = "lacks" if name in expected else "has the unexpected"
        raise Failure(path, f"{what} tensor {name!r} for the network that its metadata describes")
    for name, tensor in found.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            shapes = f"expected {list(want.shape)} {want.dtype}, got {list(tensor.shape)} {tensor.dtype}"
            raise Failure(path, f"tensor {name!r} differs ({shapes})")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise Failure(path, f"tensor {name!r} has values that are not finite")
