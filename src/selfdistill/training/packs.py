"""Which runs are trained side by side in one process, and how its command names them. Imports no torch."""

import json
from pathlib import Path

from selfdistill.config.schema import Config


def packs(config: Config, results: Path) -> list[tuple[str, list[int]]]:
    """The method and seeds of every pack of at least two runs.

    A finished run stays in the pack in which it was trained, as its run.json says, so neither another seed nor
    another `pack` trains it again; what is left is cut into new packs.
    """
    found = []
    seeds_of: dict[str, list[int]] = {}
    for method, seed in config.runs():
        seeds_of.setdefault(method, []).append(seed)
    for method, seeds in seeds_of.items():
        trained = {seed: _trained_in(results / config.protocol / method / f"seed{seed}" / "run.json") for seed in seeds}
        old = {tuple(pack) for pack in trained.values() if pack is not None}
        taken = {seed for pack in old for seed in pack}
        left = [seed for seed in seeds if trained[seed] is None and seed not in taken]
        new = [left[start : start + config.pack] for start in range(0, len(left), config.pack)]
        found += [(method, list(pack)) for pack in [*sorted(old), *new] if len(pack) > 1]
    return found


def _trained_in(run: Path) -> list[int] | None:
    """The seeds of the pack that a finished run was trained in, empty if its run.json does not tell; None if the run
    is not finished.
    """
    if not run.is_file():
        return None
    try:
        pack = json.loads(run.read_text(encoding="utf-8"))["options"]["pack"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return pack if isinstance(pack, list) and all(isinstance(seed, int) and seed >= 0 for seed in pack) else []


def options_of(config: Config, results: Path, method: str, seeds: list[int]) -> list[str]:
    """The options of `train` that say which runs: seed, folder, log and teachers of each."""
    folder, words = results / config.protocol, []
    for seed in seeds:
        words += ["--seed", seed, "--output", folder / method / f"seed{seed}"]
        words += ["--log", folder / "logs" / f"{method}-seed{seed}.txt"]
        for teacher, its_seed in config.teachers_of(method, seed):
            words += ["--teacher", folder / teacher / f"seed{its_seed}" / "weights.safetensors"]
    return [str(word) for word in words]
