"""Types of values. Each error message states the whole rule: `expected ..., got ...`."""

import operator
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

# The numbers that YAML 1.1, YAML 1.2 and Python read as the same number: not 010, 0x10, 1_0 or 1:30.
PLAIN_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
LARGEST_SEED = 2**63 - 1


def refuse(expected: str, got: Any) -> PydanticCustomError:
    """The error for a wrong value."""
    return PydanticCustomError("refused", "expected {expected}, got {got}", {"expected": expected, "got": written(got)})


def written(value: Any) -> str:
    """A value as YAML writes it, texts in quotes; at most 80 characters."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"[:80]
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {written(item)}' for key, item in value.items())}}}"[:80]
    text = str(value) if isinstance(value, int | float) else repr(value)
    return re.sub("//.*@", "//...@", text)[:80]  # without the password in a URL


def number(value: Any) -> int | float | None:
    """A finite number, also when YAML or the command line delivered it as text (`1e-1`); None for anything else."""
    if isinstance(value, str):
        if not PLAIN_NUMBER.fullmatch(value) or len(value) > 400:
            return None
        value = float(value) if re.search(r"[.eE]", value) else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= sys.float_info.max else None  # neither NaN nor infinite, nor a huge integer


# Numbers


def _within(kind: type, expected: str, **bounds: float) -> Callable[[Any], Any]:
    """A validator of numbers; bounds: of `ge`, `gt`, `le` and `lt`, the comparisons of `operator` and of pydantic."""

    def check(value: Any) -> Any:
        found = number(value)
        fits = found is not None and all(getattr(operator, name)(found, bound) for name, bound in bounds.items())
        if not fits or (kind is int and found != int(found)):
            raise refuse(expected, value)
        return kind(found)

    return check


def _number(kind: type, expected: str, **bounds: float) -> Any:
    check = _within(kind, expected, **bounds)
    return Annotated[kind, Field(**bounds), BeforeValidator(check)]  # this order puts the range into the schema


def _whole(least: int, most: int, expected: str = "") -> Any:
    return _number(int, expected or f"a whole number from {least} to {most}", ge=least, le=most)


def _between(least: float, most: float, unit: str = "") -> Any:
    """A number in wide bounds, so that a typo fails here and not as an overflow after hours."""
    return _number(float, f"a number from {least:g} to {most:g}{unit}", ge=least, le=most)


def _auto_or(least: int, most: int) -> Any:
    check = _within(int, f"auto or a whole number from {least} to {most}", ge=least, le=most)
    return Annotated[int | str, BeforeValidator(lambda value: value if value == "auto" else check(value))]


Count = _whole(1, 10**9)
Amount = _whole(0, 10**9)
Width = _whole(1, 1024)
Classifiers = _whole(3, 4, "3 or 4")
Severity = _whole(1, 5)
Decimals = _whole(0, 4)
Seed = _whole(0, LARGEST_SEED)
Number = _number(float, "a finite number")
Positive = _number(float, "a number > 0", gt=0)
NonNegative = _number(float, "a number >= 0", ge=0)
Fraction = _number(float, "a number in [0, 1]", ge=0, le=1)
BelowOne = _number(float, "a number in [0, 1)", ge=0, lt=1)
LearningRate = _number(float, "a number in (0, 1000]", gt=0, le=1000)
Temperature = _between(1e-3, 1000)
Percent = _between(0, 100, " (percent)")
Inches = _between(1, 20, " (inches)")
Threads, Workers = _auto_or(1, 1024), _auto_or(0, 256)

# Text


def matching(expected: str, pattern: str) -> Any:
    """A text that a regular expression matches as a whole."""

    def check(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise refuse(expected, value)
        return value

    return Annotated[str, BeforeValidator(check), Field(json_schema_extra={"pattern": f"^(?:{pattern})$"})]


# Folders of results/<protocol>/ and report/<protocol>/ that do not belong to a method.
RESERVED_NAMES = ("data", "details", "logs", "settings")
Name = matching(
    "a name of lower-case letters, digits, - and _, at most 41, a letter or digit first"
    f" (and none of {', '.join(RESERVED_NAMES)})",
    rf"(?!(?:{'|'.join(RESERVED_NAMES)})$)[a-z0-9][a-z0-9_-]{{0,40}}",
)
Sha256 = matching("64 hexadecimal digits in lower case", r"[0-9a-f]{64}")
DURATION = r"([0-9]{1,6})h ([0-5]?[0-9])m ([0-5]?[0-9])s"
Duration = matching("a duration such as 1h 56m 17s, minutes and seconds up to 59", DURATION)
# No control characters, line or paragraph separators, or marks that change the direction of text.
PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]{1,2000}"
Line = matching("one line of text, at most 2000 printable characters", PRINTABLE)
Label = matching("a LaTeX label of letters, digits and : . _ -, at most 80", r"[A-Za-z0-9:._-]{1,80}")
Device = matching("auto, cpu, cuda or cuda:<n>, n up to 99", r"auto|cpu|cuda(?::[0-9]{1,2})?")

# A plain host without user name and password, and no character that hides which host it is.
URL = r"https?://[A-Za-z0-9][A-Za-z0-9._-]*(?::[0-9]{1,5})?(?:[/?#][!#-;=?-\[\]_a-z~]*)?"
Url = matching("a URL (https://... or http://...) of a plain host, without user name and password", URL)


def seconds_of(duration: str) -> int:
    """The seconds of a duration such as `1h 56m 17s`."""
    hours, minutes, seconds = map(int, re.fullmatch(DURATION, duration).groups())
    return 3600 * hours + 60 * minutes + seconds


# Words


def _switch(kind: Any, *words: str) -> Any:
    """true or false, or one of a few words."""
    expected = "one of " + ", ".join(("true", "false", *words))

    def check(value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and value in words):
            return value
        raise refuse(expected, value)

    return Annotated[kind, BeforeValidator(check)]


Switch = _switch(bool)
ReplacedStem = _switch(Literal[True, False, "as_notebook"], "as_notebook")


def one_of(*choices: str) -> Any:
    """One of a few words. YAML 1.1 reads a bare `on` or `off` as true or false; these become words again."""
    words = {True: "on", False: "off"} if "on" in choices else {}

    def check(value: Any) -> Any:
        value = words.get(value, value) if isinstance(value, bool) else value
        if not isinstance(value, str) or value not in choices:
            raise refuse("one of " + ", ".join(choices), value)
        return value

    return Annotated[str, BeforeValidator(check), Field(json_schema_extra={"enum": list(choices)})]


# Lists


def _items(value: Any) -> Any:
    """The items of a list that `--config` delivers as text: `0,1` and `[0, 1]`."""
    return re.split(r"\s*,\s*", value.strip(" []")) if isinstance(value, str) else value


def _seeds(value: Any) -> Any:
    """A list of different seeds; `0,1`, `[0, 1]` and `0` are lists too."""
    items = _items(value)
    items = [items] if isinstance(items, int | float) else items
    seeds = [number(item) for item in items] if isinstance(items, list) else []
    whole = all(seed is not None and seed == int(seed) and 0 <= seed <= LARGEST_SEED for seed in seeds)
    if not seeds or not whole or len(set(seeds)) < len(seeds):
        raise refuse(f"a list of different whole numbers from 0 to {LARGEST_SEED}, such as [0, 1, 2]", value)
    return [int(seed) for seed in seeds]


Seeds = Annotated[list[Seed], BeforeValidator(_seeds)]


def _teacher_seed(value: Any) -> Any:
    """A rule, one seed, or the sorted seeds of an ensemble; a list of one seed becomes that seed."""
    if isinstance(value, list):
        seeds = sorted(_seeds(value))
        return seeds if len(seeds) > 1 else seeds[0]
    if isinstance(value, str) and (value in ("same", "next") or re.fullmatch(r"mod [1-9][0-9]{0,8}", value)):
        return value
    expected = f"same, next, a seed up to {LARGEST_SEED}, mod <n> with n from 1 to 999999999, or a list of seeds"
    return _within(int, expected, ge=0, le=LARGEST_SEED)(value)


TeacherSeed = Annotated[int | str | list[Seed], BeforeValidator(_teacher_seed)]


def distinct(item: Any, least: int = 0, order: Sequence[str] = ()) -> Any:
    """A list of at least `least` different items, sorted by `order` if it is given."""

    def check(values: list) -> list:
        if len(values) < least or any(value in values[:index] for index, value in enumerate(values)):
            raise refuse("different items" + (", at least one" if least else ""), values)
        return sorted(values, key=order.index) if order else values

    return Annotated[list[item], AfterValidator(check), Field(json_schema_extra={"uniqueItems": True})]


Names = Annotated[distinct(Name, least=1), BeforeValidator(_items)]
