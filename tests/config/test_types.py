import pytest
from pydantic import TypeAdapter, ValidationError

from selfdistill.config import types as t

NOT_NUMBERS = ["", "a", "1,5", "0x1", "nan", "inf", "010", "1_0", "1:30", " 1", "\u0661", "1e999"]
NOT_NUMBERS += [float("nan"), float("inf"), 10**400, True, None, [1], {"a": 1}]


def read(kind, value):
    return TypeAdapter(kind).validate_python(value)


def refusal(kind, value):
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    return caught.value.errors()[0]["msg"]


def test_numbers_may_be_text():
    assert [t.number(text) for text in ("1e-1", "5E-4", "3e2", "7", "-1", ".5")] == [0.1, 5e-4, 300, 7, -1, 0.5]
    assert [t.number(value) for value in NOT_NUMBERS] == [None] * len(NOT_NUMBERS)


RANGES = [  # kind, values in it, values outside, and the whole rule as a refusal says it
    (t.Count, [1, 200, "3e2", 10**9], [0, -1, 1.5, 10**9 + 1], "a whole number from 1 to 1000000000"),
    (t.Amount, [0, 10**9], [-1, 10**9 + 1], "a whole number from 0 to 1000000000"),
    (t.Width, [1, 1024], [0, 1025], "a whole number from 1 to 1024"),
    (t.Seed, [0, 1, 2**63 - 1], [-1, 0.5, 2**63], "a whole number from 0 to 9223372036854775807"),
    (t.Decimals, [0, 4], [-1, 5], "a whole number from 0 to 4"),
    (t.Severity, [1, 5], [0, 6], "a whole number from 1 to 5"),
    (t.Classifiers, [3, 4], [2, 5], "3 or 4"),
    (t.Threads, [1, 1024], [0, 1025], "auto or a whole number from 1 to 1024"),
    (t.Workers, [0, 256], [-1, 257, 999], "auto or a whole number from 0 to 256"),
    (t.Number, [-1, 0, 1e300], [], "a finite number"),
    (t.Positive, [1e-9, 4], [0, -4, -1e-9], "a number > 0"),
    (t.NonNegative, [0, 5e-4], [-1e-9], "a number >= 0"),
    (t.Fraction, [0, 0.3, 1], [-0.1, 1.1], "a number in [0, 1]"),
    (t.BelowOne, [0, 0.9], [1, -0.1], "a number in [0, 1)"),
    (t.LearningRate, [1e-30, 1000], [0, 1001], "a number in (0, 1000]"),
    (t.Temperature, [0.001, 1000], [0, 1e-4, 1001], "a number from 0.001 to 1000"),
    (t.Percent, [0, 100], [-1, 101], "a number from 0 to 100 (percent)"),
    (t.Inches, [1, 20], [0.5, 21], "a number from 1 to 20 (inches)"),
]


def test_ranges_and_the_whole_rule():
    for kind, good, bad, rule in RANGES:
        assert [read(kind, value) for value in good] == [t.number(value) for value in good]
        assert all(refusal(kind, value).startswith(f"expected {rule}, got ") for value in [*bad, *NOT_NUMBERS])


def test_whole_numbers_are_integers_however_they_are_spelt_and_a_refusal_is_short_whatever_was_found():
    assert [type(read(t.Count, value)) for value in (3, 3.0, "3", "3e0")] == [int] * 4
    assert len(refusal(t.Count, "x" * 10_000)) < 150


def test_seeds_are_a_list_of_different_whole_numbers_however_they_are_given():
    assert [read(t.Seeds, value) for value in ([0, 1], "0,1", "[0, 1]", ["0", "1"])] == [[0, 1]] * 4
    assert [read(t.Seeds, value) for value in (0, "0", [2**63 - 1])] == [[0], [0], [2**63 - 1]]
    rule = "expected a list of different whole numbers from 0 to 9223372036854775807, such as [0, 1, 2], got "
    for value in ([], "", [0, 0], "0,0", -1, [-1], 1.5, "0,a", True, [True], None, [2**64], [None], [[0]], {}, "0;1"):
        assert refusal(t.Seeds, value).startswith(rule)
