"""A training job, as given on the command line. Imports no torch."""

from pathlib import Path
from typing import NamedTuple

from selfdistill.config.schema import MachineSettings
from selfdistill.training.states import forced_mark


class Job(NamedTuple):
    """How and where to train a run; output is .../<method>/seed<n>. teachers: the weights of its teacher
    or of an ensemble's members, or none. store: the folder of finished runs; None: they are not stored.
    """

    data: Path
    settings: Path
    seed: int
    output: Path
    teachers: tuple[Path, ...] = ()
    log: Path | None = None
    machine: MachineSettings = MachineSettings()
    store: Path | None = None

    @property
    def name(self) -> str:
        """`<method>-seed<n>`."""
        return f"{self.output.parent.name}-{self.output.name}"

    @property
    def states(self) -> Path:
        """The folder of the protocol's resumable states, which no rule declares."""
        return self.output.parent.parent / ".state"

    @property
    def forced(self) -> Path:
        """The file that forces a run to be trained even if it is stored; it is removed after the training."""
        return forced_mark(self.states, self.name)
