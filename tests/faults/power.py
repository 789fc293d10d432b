"""What a power cut leaves: recorded operations are replayed, and what was not synced is dropped.

The model is weaker than any real file system: data that was not synced is lost, cut in half or kept whatever
happened to its name; names that were not synced are lost from some point on, in each folder apart.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from commands import torn_history
from syscalls import Call

from selfdistill.training.states import NAME


class Inode:
    """A file's content in the page cache and on the disk."""

    def __init__(self) -> None:
        self.cached, self.synced = b"", b""

    def versions(self) -> list[bytes]:
        """What the disk may have after a power cut."""
        if self.cached == self.synced:
            return [self.synced]
        return [self.synced, self.cached, self.cached[: len(self.cached) // 2]]


class Change(NamedTuple):
    """A change of a name in a folder: its new inode, None for a folder; gone if it is removed."""

    name: str
    inode: Inode | None
    gone: bool = False


def names_after(names: dict[str, Inode | None], changes: Iterable[Change]) -> dict[str, Inode | None]:
    """The names of a folder after changes of it."""
    found = dict(names)
    for change in changes:
        found.pop(change.name, None)
        found |= {} if change.gone else {change.name: change.inode}
    return found


class Disk:
    """The folder of a command, from its recorded calls."""

    def __init__(self, root: Path):
        self.root = str(root)
        self.names: dict[str, dict[str, Inode | None]] = {}  # folder -> name -> inode, as on the disk
        self.pending: dict[str, list[Change]] = {}  # folder -> changes that are not synced
        self.open: dict[int, tuple[str, Inode | None]] = {}
        self.whole: dict[str, list[bytes | None]] = {}  # path -> its contents in turn, None for a folder
        self.folders: dict[str, dict[str, bytes]] = {}  # that were renamed: the files that must be in them, or none

    def do(self, call: Call) -> None:
        """Apply a call; calls outside the folder are ignored."""
        if call.result >= 0 and (call.touches(Path(self.root)) or (call.fd and call.fd[0] in self.open)):
            getattr(self, f"_{call.name}", lambda call: None)(call)

    def _current(self, folder: str) -> dict[str, Inode | None]:
        return names_after(self.names.get(folder, {}), self.pending.get(folder, []))

    def _change(self, path: str, inode: Inode | None, gone: bool = False) -> None:
        folder, name = os.path.split(path)
        self.pending.setdefault(folder, []).append(Change(name, inode, gone))

    def _openat(self, call: Call) -> None:
        path = call.texts[0].decode()
        folder, name = os.path.split(path)
        inode = self._current(folder).get(name)
        if "O_CREAT" in call.arguments and inode is None:
            inode = Inode()
            self._change(path, inode)
        if "O_TRUNC" in call.arguments and inode is not None:
            inode.cached = b""
        self.open[call.result] = (path, inode)

    def _write(self, call: Call) -> None:
        _, inode = self.open.get(call.fd[0], ("", None))
        if inode is not None:  # only the lock is written by pwrite64, and always whole
            inode.cached = call.texts[-1] if call.name == "pwrite64" else inode.cached + call.texts[-1]

    _pwrite64 = _write

    def _fsync(self, call: Call) -> None:
        path, inode = self.open[call.fd[0]]
        if inode is not None:
            inode.synced = inode.cached
            return
        self.names[path] = self._current(path)
        self.pending[path] = []

    def _close(self, call: Call) -> None:
        self.open.pop(call.fd[0] if call.fd else -1, None)

    def _rename(self, call: Call) -> None:
        old, new = (text.decode() for text in call.texts)
        folder, name = os.path.split(old)
        inode = self._current(folder)[name]
        if inode is None:  # a folder, of which nothing changes any more, whichever name it is found under
            self.names[new], self.pending[new] = dict(self.names.get(old, {})), list(self.pending.get(old, []))
            inside = {path: found[-1] for path, found in self.whole.items() if os.path.dirname(path) == old}
            self.folders[new] = {path.replace(old, new, 1): content for path, content in inside.items()}
        self.whole.setdefault(new, []).append(inode and inode.cached)
        self._change(new, inode)
        self._change(old, None, gone=True)

    def _link(self, call: Call) -> None:
        old, new = (text.decode() for text in call.texts)
        folder, name = os.path.split(old)
        inode = self._current(folder).get(name)
        if inode is None:  # it was there before
            inode = Inode()
            inode.cached = inode.synced = Path(old).read_bytes()
        self._change(new, inode)

    def _unlink(self, call: Call) -> None:
        path = call.texts[0].decode()
        self._change(f"{call.fd[1]}/{path}" if call.fd else path, None, gone=True)

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, call: Call) -> None:
        self._change(call.texts[0].decode(), None)

    def after_a_cut(self) -> Iterator[dict[str, bytes]]:
        """Every state that the disk may be in, as content by path."""
        folders = [folder for folder, changes in self.pending.items() if changes]
        cuts = itertools.product(*(range(len(self.pending[folder]) + 1) for folder in folders))
        for cut in cuts:
            kept = {folder: self.pending[folder][:count] for folder, count in zip(folders, cut, strict=True)}
            names = self.names | {folder: names_after(self.names.get(folder, {}), kept[folder]) for folder in folders}
            reached = {}
            _walk(names, self.root, reached)
            unsure = [path for path, inode in reached.items() if len(inode.versions()) > 1]
            for chosen in itertools.product(*(reached[path].versions() for path in unsure)):
                contents = {path: inode.synced for path, inode in reached.items()}
                yield contents | dict(zip(unsure, chosen, strict=True))


def _walk(names: dict, folder: str, reached: dict[str, Inode]) -> None:
    """The files that can be reached from a folder."""
    for name, inode in names.get(folder, {}).items():
        path = f"{folder}/{name}"
        if inode is None:
            _walk(names, path, reached)
        else:
            reached[path] = inode


def promises(calls: list[Call]) -> dict[int, str]:
    """When a write is promised to last: index of a call -> path. It is the end of the sync after a rename."""
    found, waiting = {}, []
    for index, call in enumerate(calls):
        if call.name == "rename":
            waiting.append(call.texts[1].decode())
        if call.name == "close" and call.fd:
            for path in [path for path in waiting if os.path.dirname(path) == call.fd[1]]:
                found[index] = path
                waiting.remove(path)
    assert not waiting, f"no folder was closed after the rename to {waiting}"
    return found


def violations(calls: list[Call], root: Path, without: int | None = None) -> tuple[int, list[str]]:
    """The number of checked states, and the errors in them.

    without: the index of a call that is taken out, to see whether it is missed.
    Every file under its final name must be whole, and what was promised must be there, in this version or a
    later one; promised files that the command removes itself must have a successor.
    """
    ends, disk = promises(calls), Disk(root)
    promised: dict[str, int] = {}  # path -> index of the content that must be there at least
    states, wrong = 0, []
    for index, call in enumerate(calls):
        if index != without:
            disk.do(call)
        if index in ends and not os.path.dirname(ends[index]).endswith(".tmp"):  # promised with its folder
            promised[ends[index]] = len(disk.whole[ends[index]]) - 1
        for contents in disk.after_a_cut():
            states += 1
            wrong += _problems(contents, disk.whole, promised)
            wrong += _half_folders(contents, disk.folders, promised)
        if len(wrong) > 20:
            break
    return states, wrong


def _half_folders(contents: dict[str, bytes], folders: dict[str, dict[str, bytes]], promised: dict) -> list[str]:
    """What is wrong with folders that were renamed when they were complete: half there, or promised and not there."""
    wrong = []
    for folder, files in folders.items():
        there = any(path.startswith(f"{folder}/") for path in contents)
        if (there or folder in promised) and {path: contents.get(path) for path in files} != files:
            wrong.append(f"half there: {folder}" if there else f"lost: {folder}")
    return wrong


def _problems(contents: dict[str, bytes], whole: dict, promised: dict[str, int]) -> list[str]:
    wrong = []
    for path, content in contents.items():
        if path in whole and content not in whole[path]:
            wrong.append(f"torn: {path} ({len(content)} bytes)")
    newest = max((_epoch(path) for path in contents if path in whole), default=0)
    done = any(path.endswith("/run.json") and path in promised for path in contents)  # nobody goes on from a state
    for path, version in promised.items():
        if done and "/.state/" in path:
            continue
        if _epoch(path):
            if newest < _epoch(path):
                wrong.append(f"lost: {path}")
        elif contents.get(path) not in whole[path][version:]:
            wrong.append(f"lost: {path}")
    for path, content in contents.items():
        if path.endswith("history.csv") and "/.state/" in path:
            wrong += torn_history(content.decode(), newest)
    return wrong


def _epoch(path: str) -> int:
    """The epoch of a state, 0 of another file."""
    name = NAME.fullmatch(os.path.basename(path))
    return int(name[1]) if name else 0
