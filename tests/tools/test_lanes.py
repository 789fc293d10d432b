"""How long jobs take side by side."""

import pytest

from selfdistill.tools.lanes import makespan


@pytest.mark.parametrize(("lanes", "expected"), [(1, 10), (2, 5), (3, 4), (0, 10)])
def test_jobs_that_wait_for_nobody(lanes, expected):
    assert makespan({"a": 4, "b": 3, "c": 2, "d": 1}, {}, lanes) == expected


def test_a_student_starts_after_its_teacher_and_others_fill_the_gap():
    seconds, needs = {"kd": 2, "teacher": 3, "control": 2}, {"kd": ["teacher"]}
    assert makespan(seconds, needs, 2) == 5  # teacher 0-3, control 0-2, kd 3-5
    assert makespan(seconds, needs, 1) == 7
    assert makespan(seconds, needs, 9) == 5


def test_a_student_waits_for_all_of_its_teachers():
    seconds = {"kd": 2, "one": 3, "other": 5}
    assert makespan(seconds, {"kd": ["one", "other"]}, 2) == 7
    assert makespan(seconds, {"kd": ["other", "one"]}, 1) == 10
    assert makespan({"kd": 2, "one": 3}, {"kd": ["one", "ended"]}, 2) == 5


def test_a_teacher_that_has_ended_keeps_nobody_waiting():
    assert makespan({"kd": 2}, {"kd": ["teacher"]}, 1) == 2


def test_nothing_takes_no_time():
    assert makespan({}, {}, 2) == 0
