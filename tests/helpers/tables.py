"""The tables that runs and reports leave."""

import csv
from pathlib import Path


def rows(folder: Path, name: str = "history.csv") -> list[dict[str, str]]:
    """The rows of a CSV file, by default of a run's history."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
