"""Stateless randomness: every draw has a name, so a resumed run needs no generator's state."""

import hashlib

import torch


def seed_of(seed: int, stream: str, index: int = 0) -> int:
    """A 63-bit seed for a named stream of a run, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{stream}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, stream: str, index: int = 0) -> torch.Generator:
    """A CPU generator at the start of a named stream."""
    return torch.Generator().manual_seed(seed_of(seed, stream, index))
