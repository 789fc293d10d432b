import pytest
from pydantic import TypeAdapter, ValidationError

from selfdistill.config import types as t

NOT_NUMBERS = [
    "",
    "a",
    "one",
    "1,5",
    "0x1",
    "nan",
    "inf",
    float("nan"),
    float("inf"),
    10**400,
    True,
    None,
    [1],
    {"a": 1},
]


def read(kind, value):
    return TypeAdapter(kind).validate_python(value)


def refusal(kind, value):
    with pytest.raises(ValidationError) as caught:
        read(kind, value)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("text", "expected"), [("1e-1", 0.1), ("5E-4", 5e-4), ("3e2", 300), ("0.1", 0.1), ("7", 7), ("-1", -1), (".5", 0.5)]
)
def test_numbers_may_be_text(text, expected):
    assert t.number(text) == expected


@pytest.mark.parametrize("value", [*NOT_NUMBERS, "1e999"])
def test_anything_else_is_no_number(value):
    assert t.number(value) is None


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize("kind", [t.Count, t.Seed, t.Number, t.Positive, t.NonNegative, t.Fraction, t.BelowOne])
def test_every_kind_of_number_refuses_what_is_none(kind, value):
    assert refusal(kind, value).startswith("expected a ")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (t.Count, [1, 200, "3e2", 10**9], [0, -1, 1.5, 10**9 + 1]),
        (t.Seed, [0, 1, 2**63 - 1], [-1, 0.5, 2**63]),
        (t.Decimals, [0, 4], [-1, 5]),
        (t.Number, [-1, 0, 1e300], []),
        (t.Positive, [1e-9, 4], [0, -4, -1e-9]),
        (t.NonNegative, [0, 5e-4], [-1e-9]),
        (t.Fraction, [0, 0.3, 1], [-0.1, 1.1]),
        (t.BelowOne, [0, 0.9], [1, -0.1]),
    ],
)
def test_ranges(kind, good, bad):
    assert [read(kind, value) for value in good] == [t.number(value) for value in good]
    assert all("got" in refusal(kind, value) for value in bad)


def test_whole_numbers_are_integers_however_they_are_spelt():
    assert [type(read(t.Count, value)) for value in (3, 3.0, "3", "3e0")] == [int] * 4


def test_a_refusal_names_what_is_expected_and_what_was_found():
    assert refusal(t.Fraction, "1.5") == "expected a number in [0, 1], got '1.5'"


def test_a_refusal_is_short_whatever_was_found():
    assert len(refusal(t.Count, "x" * 10_000)) < 150


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            t.Name,
            ["kd", "self_distillation", "r18-kd", "3"],
            [
                "KD",
                "a b",
                "../x",
                "a/b",
                "",
                "_a",
                "-a",
                "a" * 42,
                "data",
                "figures",
                "logs",
                "settings",
                "summary",
                "table",
                "kd\n",
                3,
                None,
            ],
        ),
        (t.Sha256, ["0123456789abcdef" * 4], ["A" * 64, "a" * 63, "a" * 65, None]),
        (t.Url, ["https://a.b/c.tar.gz", "http://a"], ["ftp://a", "a.b/c", "https://", "https://a b", None]),
        (t.Duration, ["1h 56m 17s", "0h 0m 0s"], ["1h56m17s", "116m", 6977]),
        (t.Line, ["ResNet18_KD 100% & #1", "ü"], ["", "a\nb", "a\tb", "x" * 2001, 18, None]),
        (t.Device, ["auto", "cpu", "cuda", "cuda:7"], ["gpu", "", "cuda:", "cuda:-1", "CPU", None]),
        (t.TeacherSeed, ["same", 0, "3", "mod 3"], ["mod 0", "other", -1, 1.5, True, 2**63, None]),
        (t.Threads, ["auto", 1, "2", 1024], [0, -1, 1025, 1.5, "all", True, None]),
        (t.Switch, [True, False, "true", "False"], ["yes", 1, 0, None, []]),
        (t.one_of("a", "b"), ["a", "b"], ["c", "A", None, ["a"], {}]),
    ],
)
def test_words(kind, good, bad):
    for value in good:
        read(kind, value)
    assert all(refusal(kind, value).startswith("expected ") for value in bad)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("True", True), ("false", False), ("False", False)])
def test_switches_may_be_text(text, expected):
    assert read(t.Switch, text) is expected


def test_a_refused_choice_lists_the_choices():
    assert refusal(t.one_of("cifar", "imagenet"), "none") == "expected one of cifar, imagenet, got 'none'"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([0], [0]),
        ([0, 1, 2], [0, 1, 2]),
        ("0,1", [0, 1]),
        ("[0,1]", [0, 1]),
        ("[0, 1]", [0, 1]),
        (["0", "1"], [0, 1]),
        ("0", [0]),
        (0, [0]),
        ([2**63 - 1], [2**63 - 1]),
    ],
)
def test_seeds_are_a_list_however_they_are_given(value, expected):
    assert read(t.Seeds, value) == expected


@pytest.mark.parametrize(
    "value",
    [[], "", "[]", [0, 0], "0,0", -1, [-1], 1.5, "a", "0,a", True, [True], None, [2**64], [None], [[0]], {}, "0;1"],
)
def test_seeds_are_different_whole_numbers(value):
    assert refusal(t.Seeds, value).startswith(
        "expected a list of different whole numbers >= 0, such as [0, 1, 2], got "
    )


@pytest.mark.parametrize(("duration", "seconds"), [("1h 56m 17s", 6977), ("0h 0m 1s", 1), ("26h 0m 0s", 93_600)])
def test_a_durations_seconds(duration, seconds):
    assert t.seconds_of(duration) == seconds
