"""A training job as the command line gives it. Imports no torch."""

from pathlib import Path
from typing import NamedTuple

from selfdistill.config.schema import MachineSettings


class Job(NamedTuple):
    """How and where to train a run; output is .../<method>/seed<n>. teachers: the weights that teach it, those of an
    ensemble's members, or none. bar: whether to draw one on a terminal.
    """

    data: Path
    settings: Path
    seed: int
    output: Path
    teachers: tuple[Path, ...] = ()
    log: Path | None = None
    machine: MachineSettings = MachineSettings()
    bar: bool = False

    @property
    def name(self) -> str:
        """`<method>-seed<n>`."""
        return f"{self.output.parent.name}-{self.output.name}"

    @property
    def states(self) -> Path:
        """The folder of the protocol's resumable states, which no rule declares."""
        return self.output.parent.parent / ".state"
