"""A training job as the command line gives it. Imports no torch."""

from pathlib import Path
from typing import NamedTuple

from selfdistill.config.schema import MachineSettings
from selfdistill.training.states import forced_mark


class Job(NamedTuple):
    """How and where to train a run; output is .../<method>/seed<n>. teachers: the weights that teach it, those of an
    ensemble's members, or none. store: where finished runs are kept, None: nowhere.
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
        """The mark of a run that is to be trained whatever is stored; it goes when that is done."""
        return forced_mark(self.states, self.name)
