"""Configuration values that say what they expect: each refusal reads `expected ..., got ...`."""

import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError


def refuse(expected: str, got: Any) -> PydanticCustomError:
    """The error of a value that is not what it should be."""
    shown = str(got) if isinstance(got, int | float) and not isinstance(got, bool) else repr(got)
    return PydanticCustomError("refused", "expected {expected}, got {got}", {"expected": expected, "got": shown[:80]})


def number(value: Any) -> int | float | None:
    """A finite number, also when YAML or the command line delivered it as text (`1e-1`); None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value) if re.search(r"[.eE]", value) else int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= sys.float_info.max else None  # neither NaN nor infinite, nor a huge integer


def _in_range(expected: str, whole: bool, fits: Callable[[float], bool]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        found = number(value)
        if found is None or (whole and found != int(found)) or not fits(found):
            raise refuse(expected, value)
        return int(found) if whole else float(found)

    return check


def _whole(expected: str, least: int, most: int) -> Any:
    check = _in_range(expected, True, lambda value: least <= value <= most)
    return Annotated[int, Field(ge=least, le=most), BeforeValidator(check)]  # in this order the schema has the range


Width = _whole("a whole number from 1 to 1024", 1, 1024)
Count = _whole("a whole number >= 1", 1, 10**9)
Amount = _whole("a whole number >= 0", 0, 10**9)
Classifiers = _whole("3 or 4", 3, 4)
Probes = _whole("a whole number from 2 to 10000", 2, 10_000)
Severity = _whole("a whole number from 1 to 5", 1, 5)
Seed = _whole("a whole number from 0 to 9223372036854775807", 0, 2**63 - 1)
Decimals = _whole("a whole number from 0 to 4", 0, 4)
Number = Annotated[float, BeforeValidator(_in_range("a finite number", False, lambda value: True))]
Positive = Annotated[float, Field(gt=0), BeforeValidator(_in_range("a number > 0", False, lambda value: value > 0))]
NonNegative = Annotated[
    float, Field(ge=0), BeforeValidator(_in_range("a number >= 0", False, lambda value: value >= 0))
]
Fraction = Annotated[
    float,
    Field(ge=0, le=1),
    BeforeValidator(_in_range("a number in [0, 1]", False, lambda value: 0 <= value <= 1)),
]
Share = Annotated[
    float,
    Field(gt=0, le=1),
    BeforeValidator(_in_range("a number in (0, 1]", False, lambda value: 0 < value <= 1)),
]
BelowOne = Annotated[
    float,
    Field(ge=0, lt=1),
    BeforeValidator(_in_range("a number in [0, 1)", False, lambda value: 0 <= value < 1)),
]


def _from_to(least: float, most: float, unit: str = "") -> AfterValidator:
    """Bounds far outside of what is sensible, so that a slip ends here and not in an overflow after hours."""

    def check(value: float) -> float:
        if not least <= value <= most:
            raise refuse(f"a number from {least:g} to {most:g}{unit}", value)
        return value

    return AfterValidator(check)


Temperature = Annotated[Positive, _from_to(1e-3, 1000)]
LearningRate = Annotated[Positive, _from_to(0, 1000)]
Percent = Annotated[Number, _from_to(0, 100, " (percent)")]
Inches = Annotated[Positive, _from_to(1, 20, " (inches)")]


def _matching(expected: str, pattern: str) -> Any:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise refuse(expected, value)
        return value

    return Annotated[str, Field(pattern=f"^(?:{pattern})$"), BeforeValidator(check)]


RESERVED_NAMES = {
    "comparison",
    "ledger",
    "mechanisms",
    "data",
    "figures",
    "logs",
    "settings",
    "summary",
    "table",
}  # folders of the results that are no method's
NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,40}"


def _free_name(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(NAME_PATTERN, value) or value in RESERVED_NAMES:
        taken = ", ".join(sorted(RESERVED_NAMES))
        raise refuse(f"a name of lower-case letters, digits, - and _ (and none of {taken})", value)
    return value


Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$"), BeforeValidator(_free_name)]
SweepName = _matching("a name such as S1", r"[A-Z][A-Z0-9]{0,7}")
Sha256 = _matching("64 hexadecimal digits in lower case", r"[0-9a-f]{64}")


def _url(value: Any) -> Any:
    """A plain web address: what a reader takes for the host is the host, and there is no password in it."""
    expected = "a URL (https://... or http://...)"
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", value):
        raise refuse(expected, re.sub(r"//.*@", "//...@", value) if isinstance(value, str) else value)
    host = re.match(r"https?://([^/?#]*)", value)[1]
    if "@" in host:
        raise refuse(f"{expected} without user name and password", re.sub(r"//.*@", "//...@", value))
    name = re.fullmatch(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", host)
    if not name or not 0 < int(name[1] or 1) < 2**16:
        raise refuse(f"{expected} with a host", value)
    return value


Url = Annotated[str, Field(pattern=r"^(?:https?://\S+)$"), BeforeValidator(_url)]
DURATION = r"(\d+)h ([0-5]?\d)m ([0-5]?\d)s"
Duration = _matching("a duration such as 1h 56m 17s", DURATION)
# No control characters, line or paragraph separators, nor marks that turn the direction of text.
Line = _matching("one line of text", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]{1,2000}")
Label = _matching("a LaTeX label of letters, digits and : . _ -", r"[A-Za-z0-9:._-]{1,80}")
Device = _matching("auto, cpu, cuda or cuda:<n>", r"auto|cpu|cuda(?::\d{1,2})?")
TeacherSeed = Annotated[int | str | list[Seed], BeforeValidator(lambda value: _teacher_seed(value))]


def _is_seed(value: float) -> bool:
    return 0 <= value < 2**63


def _teacher_seed(value: Any) -> Any:
    """A rule, or seeds: an ensemble has no order, and one of a single member is that member."""
    if isinstance(value, list):
        seeds = sorted(_seeds(value))
        return seeds if len(seeds) > 1 else seeds[0]
    if isinstance(value, str) and (value in ("same", "next") or re.fullmatch(r"mod [1-9]\d{0,8}", value)):
        return value
    return _in_range("same, next, a seed, mod <n>, or a list of seeds", True, _is_seed)(value)


def _seeds(value: Any) -> Any:
    """A list of different seeds; `0,1`, `[0, 1]` and `0` as `--config` delivers them are lists too."""
    expected = "a list of different whole numbers >= 0, such as [0, 1, 2]"
    items = re.split(r"\s*,\s*", value.strip(" []")) if isinstance(value, str) else value
    items = [items] if isinstance(items, int | float) else items
    if not isinstance(items, list) or not items:
        raise refuse(expected, value)
    seeds = [number(item) for item in items]
    whole = all(seed is not None and seed == int(seed) and _is_seed(seed) for seed in seeds)
    if not whole or len(set(seeds)) < len(seeds):
        raise refuse(expected, value)
    return [int(seed) for seed in seeds]


Seeds = Annotated[list[Seed], BeforeValidator(_seeds)]


def _sweep_names(value: Any) -> Any:
    """A list of different names; `S1,S5` as `--config` delivers it is one too."""
    items = re.split(r"\s*,\s*", value.strip(" []")) if isinstance(value, str) else value
    named = isinstance(items, list) and all(isinstance(item, str) for item in items)
    if not named or not items or len(set(items)) < len(items):
        raise refuse("null or a list of different sweeps, such as [S1]", value)
    return items


SweepNames = Annotated[list[SweepName], BeforeValidator(_sweep_names)]


def _switch(value: Any) -> Any:
    if value in ("true", "True", "false", "False"):
        return value in ("true", "True")
    if not isinstance(value, bool):
        raise refuse("true or false", value)
    return value


Switch = Annotated[bool, BeforeValidator(_switch)]


def one_of(*choices: str) -> Any:
    """One of a few words. YAML 1.1 reads a bare `on` and `off` as true and false: they are taken as written."""
    words = {True: "on", False: "off"} if "on" in choices else {}

    def check(value: Any) -> Any:
        value = words.get(value, value) if isinstance(value, bool) else value
        if not isinstance(value, str) or value not in choices:
            raise refuse("one of " + ", ".join(choices), value)
        return value

    return Annotated[str, BeforeValidator(check), Field(json_schema_extra={"enum": list(choices)})]


THREADS = "auto or a whole number >= 1"


def _values(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse("a list of at least one value", value)
    return value


Values = Annotated[list[Any], BeforeValidator(_values)]


def _holdout_accuracy(value: Any) -> Any:
    if value != "holdout_accuracy":
        raise refuse("holdout_accuracy (a sweep chooses on the hold-out, never on the test set)", value)
    return value


HoldoutAccuracy = Annotated[
    str, BeforeValidator(_holdout_accuracy), Field(json_schema_extra={"const": "holdout_accuracy"})
]


def _threads(value: Any) -> Any:
    return value if value == "auto" else _in_range(THREADS, True, lambda count: 1 <= count <= 1024)(value)


Threads = Annotated[int | str, BeforeValidator(_threads)]


def _workers(value: Any) -> Any:
    return value if value == "auto" else _in_range("auto or a whole number >= 0", True, lambda n: 0 <= n <= 256)(value)


Workers = Annotated[int | str, BeforeValidator(_workers)]


def seconds_of(duration: str) -> int:
    """The seconds of a duration such as `1h 56m 17s`."""
    hours, minutes, seconds = map(int, re.fullmatch(DURATION, duration).groups())
    return 3600 * hours + 60 * minutes + seconds


def distinct(item: Any, least: int) -> Any:
    """A list of different items, at least so many."""

    def check(values: list) -> list:
        if len(values) < least or len(set(values)) < len(values):
            raise refuse("different items" + (", at least one" if least else ""), values)
        return values

    return Annotated[list[item], AfterValidator(check), Field(json_schema_extra={"uniqueItems": True})]
