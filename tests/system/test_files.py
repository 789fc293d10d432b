import os
import time

import pytest

from selfdistill.system.failures import BAD_DATA, DISK, LOCKED
from selfdistill.system.files import canonical_json, date_back, read_sealed, write_atomically


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize(("number", "code"), [(28, DISK), (5, DISK), (27, DISK), (122, DISK), (30, LOCKED)])
def test_a_failing_disk_keeps_the_old_file_and_leaves_no_litter(tmp_path, monkeypatch, refused, call, number, code):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with refused(code, path):
        write_atomically(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:3])))
    write_atomically(tmp_path / "file", "0123456789")
    assert (tmp_path / "file").read_text() == "0123456789"


def test_a_time_in_the_future_becomes_the_present_one(tmp_path):
    paths, said = [tmp_path / name for name in ("early", "late", "absent")], []
    for path, seconds in zip(paths[:2], (-100, 1e7), strict=True):
        path.touch()
        os.utime(path, (time.time() + seconds,) * 2)
    early = paths[0].stat().st_mtime
    date_back(paths, said.append)
    assert said == [f"{paths[1]}: its time was in the future; set to the present time"]
    assert paths[0].stat().st_mtime == early
    assert abs(paths[1].stat().st_mtime - time.time()) < 60


def test_equal_values_have_one_spelling():
    assert canonical_json({"b": 1, "a": [1.5]}) == canonical_json({"a": [1.5], "b": 1}) == '{"a":[1.5],"b":1}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(float("nan"))


def test_damaged_json_is_named(tmp_path, refused):
    for content in ("", "[1]", "{'a': 1}", "\x00", '{"a": NaN}', "[" * 100_000):
        (tmp_path / "run.json").write_text(content)
        with refused(BAD_DATA, "run.json"):
            read_sealed(tmp_path / "run.json")
