"""A training step: eager, or captured once in a CUDA graph and replayed. Both have the same calls and results."""

import gc
from collections.abc import Callable

import torch
from torch import Tensor, nn

from selfdistill.data.batches import Batch
from selfdistill.losses.terms import LossTerms
from selfdistill.models.outputs import Outputs
from selfdistill.system.failures import CONFIGURATION, Failure, is_out_of_memory
from selfdistill.training.machine import Machine

Objective = Callable[[Outputs, Tensor, Tensor | None], LossTerms]
Work = Callable[[], None]
WARM_UP = 3  # runs before a capture, as torch.cuda.graph asks for


class EagerStep:
    """Forward, loss, backward, update, for one batch, with nothing that waits for the device.

    network: plain or compiled; sums: of the epoch so far.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        machine: Machine,
    ):
        self.network, self.objective, self.machine = network, objective, machine
        self.optimiser, self.scaler = optimiser, scaler
        self.sums = Sums()

    def is_ready(self, batch: Batch) -> bool:
        """Whether a batch of this size needs no preparation."""
        return True

    def __call__(self, batch: Batch) -> None:
        """Take a step."""
        self.work(batch)
        self.sums.images += len(batch.labels)

    def work(self, batch: Batch) -> None:
        """The operations of a step on the device."""
        with self.machine.autocast(cache=False):  # each weight is cast only once per step anyway
            outputs = self.network(batch.images)
        terms = self.objective(outputs, batch.labels, batch.teacher_logits)
        total = terms.total
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.sums.add(batch, outputs, terms, total)

    def tensors(self) -> list[Tensor]:
        """All tensors that a step changes in place: parameters, statistics, momentum, sums."""
        state = [value for slots in self.optimiser.state.values() for value in slots.values() if value is not None]
        return [*self.network.parameters(), *self.network.buffers(), *state, *self.sums.totals.values()]


class CapturedStep:
    """The eager step as a CUDA graph for each size of batch: one launch instead of several hundred.

    capture: takes the work and a function that undoes it, returns a function that replays it. say: takes the message of
    a failed capture, after which the eager step is used.
    """

    def __init__(self, step: EagerStep, say: Callable[[str], None], capture: Callable[[Work, Work], Work]):
        self.step, self.network, self.sums = step, step.network, step.sums
        self.say, self.capture = say, capture
        self.graphs: dict[int, tuple[Batch, Work]] = {}
        self.failed = False

    def is_ready(self, batch: Batch) -> bool:
        """Whether the graph for a batch of this size exists, or capturing failed before."""
        return self.failed or len(batch.labels) in self.graphs

    def __call__(self, batch: Batch) -> None:
        """Take a step."""
        if not self.is_ready(batch):
            self._prepare(batch)
        if self.failed:
            return self.step(batch)
        fixed, replay = self.graphs[len(batch.labels)]
        for place, value in zip(fixed, batch, strict=True):
            if place is not None:
                place.copy_(value)
        replay()
        self.sums.images += len(batch.labels)
        return None

    def _prepare(self, batch: Batch) -> None:
        """Capture the step for batches of this size; undo all changes of its warm-up."""
        fixed = Batch(*(None if value is None else value.clone() for value in batch))
        if not self.sums.totals:  # the first step makes them
            undo = self._undo()
            self.step.work(fixed)
            undo()
            self.sums.reset()
        undo = self._undo()
        try:
            self.graphs[len(batch.labels)] = fixed, self.capture(lambda: self.step.work(fixed), undo)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self.failed = True
            self.say(
                f"capture failed ({type(error).__name__}: {' '.join(str(error).split())[:120]}); continuing without it"
            )
        undo()

    def _undo(self) -> Work:
        """A function that restores the present values of all that a step changes."""
        before = [(tensor, tensor.detach().clone()) for tensor in self.step.tensors()]

        def undo() -> None:
            with torch.no_grad():
                for tensor, value in before:
                    tensor.copy_(value)

        return undo


def cuda_capture() -> Callable[[Work, Work], Work]:
    """The `capture` of a GPU. The graphs of a run share a memory pool, because only one is replayed at a time. They
    share a stream, because cuBLAS keeps a workspace per stream, and a freed graph clears that of its stream.
    """
    pool, aside = torch.cuda.graph_pool_handle(), torch.cuda.Stream()

    def capture(work: Work, undo: Work) -> Work:
        current = torch.cuda.current_stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                work()
        current.wait_stream(aside)
        undo()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        gc.collect()
        gc.disable()  # memory that is freed during a capture would end it
        try:
            # thread_local: the loader's thread may pin memory during the capture.
            with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
                work()
        finally:
            gc.enable()
            torch.cuda.set_stream(current)  # a failed capture leaves its own stream current
        return graph.replay

    return capture


def choose_step(step: EagerStep, choice: str, say: Callable[[str], None]) -> EagerStep | CapturedStep:
    """What `capture: auto | on | off` means here: auto captures on a GPU, but not in fp16, because the warm-up steps
    would change the scaler's scale, and this cannot be undone.

    Raises: Failure 78 for `on` where that is impossible.
    """
    possible = step.machine.device.type == "cuda" and step.machine.precision != "fp16"
    if choice == "on" and not possible:
        raise Failure("capture", "on needs a GPU and a precision other than fp16", "set it to auto", code=CONFIGURATION)
    if choice == "off" or not possible:
        return step
    return CapturedStep(step, say, cuda_capture())


class Sums:
    """Sums over an epoch's images, on the device, so that no step waits for them."""

    def __init__(self) -> None:
        self.images = 0
        self.totals: dict[str, Tensor] = {}

    def add(self, batch: Batch, outputs: Outputs, terms: LossTerms, total: Tensor) -> None:
        """Add a batch's terms."""
        labels, count = batch.labels, len(batch.labels)
        predicted = outputs.final.detach().argmax(1)
        values = {"train_loss": total, **terms.logged()}
        rows = {name: value.detach().double() * count for name, value in values.items()}
        rows["train_accuracy"] = (predicted == labels).sum().double()
        if batch.teacher_logits is not None:
            rows["train_teacher_agreement"] = (predicted == batch.teacher_logits.argmax(1)).sum().double()
        for name, value in rows.items():
            if name in self.totals:
                self.totals[name].add_(value)
            else:
                self.totals[name] = value

    def means(self) -> dict[str, float]:
        """The mean of each column over the images; waits for the device."""
        return {name: float(total) / self.images for name, total in self.totals.items()}

    def reset(self) -> None:
        """Set the sums to 0 for a new epoch; the tensors keep their memory."""
        self.images = 0
        for total in self.totals.values():
            total.zero_()
