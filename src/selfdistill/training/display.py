"""The output of a run: a line per epoch, and its progress on a terminal."""

from selfdistill.system.amounts import clock, duration
from selfdistill.system.log import Log
from selfdistill.system.terminal import State
from selfdistill.training.machine import Machine

WARM_UP, MEASURED = 2, 6  # steps: the first ones are slower than the rest
WORTH_SAYING = 30  # seconds of an epoch from which on the workflow prints an estimate before the first one ends
LONG = 3 * 3600  # seconds of a run on a CPU that deserve a warning


class EpochDisplay:
    """Shows the progress of a run (on a terminal only), its epochs, and an early estimate of its time."""

    def __init__(self, log: Log, name: str, images: int, epochs: int, *, first: int, machine: Machine):
        self.log, self.name, self.images, self.epochs, self.epoch = log, name, images, epochs, first
        self.machine, self.steps = machine, 0
        self.state = State(name, images * epochs, images * first)

    def __enter__(self) -> "EpochDisplay":
        return self

    def __exit__(self, *_) -> None:
        self.state.close()

    def after_step(self, images: int) -> None:
        """Count a training step; after the first few, say how long the run will take."""
        self.steps += 1
        self.state.advance(images, f"epoch {self.epoch + 1}/{self.epochs}")
        if self.steps == WARM_UP:
            self.machine.wait()
            self.state.measure()
        elif self.steps == WARM_UP + MEASURED:
            self.machine.wait()
            self._estimate(self.state.left)

    def _estimate(self, seconds: float) -> None:
        epochs = self.epochs - self.epoch
        say = self.log.say if seconds > WORTH_SAYING * epochs else self.log.note
        say(f"about {duration(seconds)} to train {epochs} epochs of {self.images} images")
        if self.machine.device.type == "cpu" and seconds > LONG:
            self.log.say("this is a CPU; `make quick` runs a reduced protocol in 15 to 45 minutes. Continuing ...")

    def after_epoch(self, row: dict, seconds: float) -> None:
        """Log an epoch, and print it with the time left."""
        self.epoch = row["epoch"]
        line, left = epoch_line(row, self.epochs, seconds), self.state.left
        self.log.say(line, f"{self.name}  {line}" + (f"  left {clock(left)}" if left else ""))


def epoch_line(row: dict, epochs: int, seconds: float) -> str:
    """An epoch in one line; its accuracy is that on the training images if no other was measured."""
    seen = next(images for images in ("test", "holdout", "train") if row.get(f"{images}_accuracy") is not None)
    accuracy = f"{seen} {100 * row[f'{seen}_accuracy']:.1f} %"
    return f"epoch {row['epoch']}/{epochs}  loss {row['train_loss']:.2f}  {accuracy}  {seconds:.1f} s"
