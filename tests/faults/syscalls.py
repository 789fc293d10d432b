"""System calls of a command, recorded and broken by strace."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from helpers import warm

# What changes files, and what opens, locks or closes them.
NAMES = (
    *("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "close", "flock"),
    *("rename", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir"),
    *("mkdir", "mkdirat", "utimensat", "fchmod"),
)
RECORDINGS = 8  # at most
LINE = re.compile(r"^(\w+)\((.*)\) = (-?\d+)(?:<(.*?)>)?")
HEX = re.compile(r"\\x([0-9a-f]{2})")


class Call(NamedTuple):
    """A system call; nth: its number among calls of this name; texts: quoted arguments; fd: of the first argument."""

    name: str
    nth: int
    arguments: str
    texts: tuple[bytes, ...]
    fd: tuple[int, str] | None
    result: int
    opened: str | None

    def touches(self, folder: Path) -> bool:
        """Whether it concerns a file in the folder."""
        return re.search(re.escape(str(folder)) + r"[/\">]", f'{self.arguments} "{self.opened}"') is not None

    @property
    def changes(self) -> bool:
        """Whether it may have changed what is on the disk, rather than opened, locked, synced or closed it."""
        opens = self.name == "openat" and not re.search("O_CREAT|O_TRUNC", self.arguments)
        return self.result >= 0 and not opens and self.name not in ("fsync", "fdatasync", "close", "flock")

    def __str__(self) -> str:
        return f"{self.name} {self.nth}: {self.arguments[:150]}"


def record(arguments: Callable[[Path], list], folder: Path, trace: Path, **options) -> list[Call]:
    """The calls of NAMES that a command makes; it must end well.

    They are recorded until two runs in a row make the same ones in the folder, because others do not come again: a
    first run may compile a module, and a download may arrive in other pieces.
    """
    before: list[tuple[str, int]] = []
    for _ in range(RECORDINGS):
        shutil.rmtree(folder, ignore_errors=True)
        command = warm.Command(arguments(folder), folder, halted=True, **options)
        code = warm.traced(command, ["-o", trace, "-y", "-xx", "-s", "9999999", "-e", f"trace={','.join(NAMES)}"])
        assert code == 0, command.output()
        calls = parse(trace.read_text())
        here = [(call.name, call.nth) for call in calls if call.touches(folder)]
        if here == before:
            return calls
        before = here
    raise AssertionError(f"no two of {RECORDINGS} recordings are alike")


OWN = {"self_distillation": ("weights.safetensors", "evaluation.json"), "kept": ("run.json", None)}


def own_calls(name: str, calls: list[Call]) -> list[Call]:
    """The calls of a training that the control does not make: from one rename to another, for the heads' file, or from
    the last output on, for the store. Of any other command, all.
    """
    if name not in OWN:
        return calls
    renames = [(Path(call.texts[1].decode()).name, k) for k, call in enumerate(calls) if call.name == "rename"]
    first = dict(reversed(renames))  # the store links files under the same names later
    start, end = OWN[name]
    return calls[first[start] : first[end] + 1 if end else None]


def parse(trace: str) -> list[Call]:
    """The calls in strace's output (`-y -xx`)."""
    calls, counts = [], dict.fromkeys(NAMES, 0)
    for line in trace.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        name, arguments, result, opened = match.groups()
        counts[name] += 1
        quoted = tuple(bytes.fromhex("".join(HEX.findall(text))) for text in re.findall(r'"([^"]*)"', arguments))
        first = re.match(r"(\d+)<(.*?)>", arguments)
        fd = (int(first[1]), _plain(first[2])) if first else None
        if name in ("write", "pwrite64"):
            arguments = arguments.split(",", 1)[0]
        calls.append(Call(name, counts[name], _plain(arguments), quoted, fd, int(result), opened and _plain(opened)))
    return calls


def _plain(text: str) -> str:
    """Readable arguments, without the working folder that `AT_FDCWD` is shown with."""
    return re.sub(r"^AT_FDCWD<.*?>, ", "", HEX.sub(lambda match: chr(int(match[1], 16)), text))


def injected(
    call: Call, fault: str, arguments: list, folder: Path, trace: Path | None = None, **options
) -> tuple[int, str]:
    """The exit status and the output of a command that a fault of strace hits when it makes that call; trace: where all
    its calls are kept. A kill comes before the call has an effect.
    """
    command = warm.Command(arguments, folder, halted=True, **options)
    shown = call.name if trace is None else ",".join(NAMES)
    output = ["-o", trace or "/dev/null", "-y", "-e", f"trace={shown}"]
    code = warm.traced(command, [*output, "-e", f"inject={call.name}:{fault}:when={call.nth}"])
    return code, command.output()
