"""The output of `check` for a valid configuration."""

import os

from selfdistill.config.schema import Config
from selfdistill.config.sweeps import Cell, cells


def summary(config: Config) -> list[str]:
    """The configuration in a line; then its rows with seeds, epochs and teachers; then teachers that are not rows; then
    a notice if its archives are missing files (an error only without prepared data).
    """
    runs = sum(len(config.seeds_of(row)) for row in config.rows)
    lines = [f"valid: protocol {config.protocol}, {len(config.rows)} rows, {runs} runs"]
    labels = {cell.method: f" ({cell.block.label})" for cell in _cells(config)}
    lines += [f"  {row}{labels.get(row, '')}: {_described(config, row)}" for row in config.rows]
    shown = {(row, seed) for row in config.rows for seed in config.seeds_of(row)}
    beside = [f"{method} seed {seed}" for method, seed in config.runs() if (method, seed) not in shown]
    lines += [f"  also trained, as teachers: {', '.join(beside)}"] * bool(beside)
    paths = [archive.path for archive in config.data.archives]
    if paths and not any(path is None or os.path.isfile(os.path.expanduser(path)) for path in paths):
        lines.append(f"notice: data.archives.0.path: {paths[0]} does not exist")
    return lines


def _cells(config: Config) -> list[Cell]:
    """The cells of the configured sweeps, whose names need a label."""
    return [cell for name in config.sweep or [] for cell in cells(config.sweeps[name], config.methods)]


def _described(config: Config, row: str) -> str:
    seeds, epochs = config.seeds_of(row), config.methods[row].epochs
    text = f"{_seeds(seeds)}, {epochs} epochs"
    teachers = dict.fromkeys(teacher for seed in seeds for teacher in config.teachers_of(row, seed))
    if teachers:
        text += f", taught by {next(iter(teachers))[0]} {_seeds([seed for _, seed in teachers])}"
    return text


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
