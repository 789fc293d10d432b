"""What a run says while it works: a bar with the time left on a terminal, one plain line an epoch in logs."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from selfdistill.system import terminal
from selfdistill.system.amounts import duration
from selfdistill.system.log import Log
from selfdistill.system.pauses import PAUSES
from selfdistill.training.machine import Machine

WARM_UP, MEASURED = 2, 6  # steps: the first ones are slower than the rest
LONG = 3 * 3600  # seconds of a run on a CPU that deserve a warning


class EpochDisplay:
    """The bar of a run (one on a terminal, none elsewhere), and its first estimate of the whole."""

    def __init__(self, log: Log, name: str, images: int, epochs: int, *, first: int, bar: bool, machine: Machine):
        self.log, self.images, self.remaining = log, images, epochs - first
        self.machine, self.steps, self.started, self.seen = machine, 0, 0.0, 0
        self.estimated = False
        columns = (TextColumn(name), BarColumn(), TextColumn("epoch {task.fields[epoch]}"), TimeRemainingColumn())
        self.drawn = terminal.take() if bar else None  # two bars on one terminal would overwrite each other
        self.bar = Progress(*columns, console=Console(stderr=True), disable=self.drawn is None, transient=True)
        self.task = self.bar.add_task(name, total=images * epochs, completed=images * first, epoch=first)

    def __enter__(self) -> "EpochDisplay":
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()
        terminal.leave(self.drawn)

    def after_step(self, images: int) -> None:
        """Count a training step; after the first few, say how long the run will take."""
        self.steps += 1
        self.bar.update(self.task, advance=images)
        if self.steps == WARM_UP:
            self.machine.wait()
            self.started = PAUSES.clock()
        elif self.steps > WARM_UP and not self.estimated:
            self.seen += images
            if self.steps == WARM_UP + MEASURED:
                self.estimated = True
                self.machine.wait()
                self._estimate((PAUSES.clock() - self.started) / self.seen)

    def _estimate(self, seconds_per_image: float) -> None:
        total = seconds_per_image * self.images * self.remaining
        self.log.say(f"about {duration(total)} to train {self.remaining} epochs of {self.images} images")
        if self.machine.device.type == "cpu" and total > LONG:
            self.log.say("this is a CPU: `make quick` runs the reduced protocol in about 15 minutes; going on")

    def after_epoch(self, epoch: int) -> None:
        """Move the bar's epoch."""
        self.bar.update(self.task, epoch=epoch)


def epoch_line(row: dict, epochs: int, seconds: float) -> str:
    """An epoch in one line."""
    seen = [(name, row.get(f"{name}_accuracy")) for name in ("test", "holdout")]
    test = "".join(f"  {name} {100 * accuracy:.2f} %" for name, accuracy in seen if accuracy is not None)
    return (
        f"epoch {row['epoch']}/{epochs}  lr {row['learning_rate']:.5f}  loss {row['train_loss']:.4f}"
        f"  train {100 * row['train_accuracy']:.2f} %{test}  {seconds:.1f} s"
    )
