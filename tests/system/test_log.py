"""The log of a job that is alive survives the removal of its file and a second start of the same job."""

import os

import pytest

from selfdistill.system.log import Log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "kd-seed0.txt"


def test_a_removed_file_comes_back_whole_with_the_next_line(path):
    log = Log(path)
    for epoch in (1, 2, 3):
        log.say(f"epoch {epoch}")
        path.unlink()  # as Snakemake does before it starts a job
    path.parent.rmdir()
    log.say("done")
    log.say("end")
    assert path.read_text() == "epoch 1\nepoch 2\nepoch 3\ndone\nend\n"


def test_a_second_start_says_its_own_lines_and_the_first_goes_on(path):
    first = Log(path)
    first.say("epoch 1")
    Log(path).say("error: in use by process 7")
    assert path.read_text() == "error: in use by process 7\n"
    first.say("epoch 2")
    assert path.read_text() == "epoch 1\nepoch 2\n"
    assert os.listdir(path.parent) == [path.name]


def test_a_device_is_written_to_and_left_where_it_is(tmp_path):
    place = tmp_path / "null"
    place.symlink_to("/dev/null")
    Log(place).say("gone")
    assert place.is_symlink()
    assert place.is_char_device()
