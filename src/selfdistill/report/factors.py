"""In what two arms differ, read from the settings of their runs: only a difference in one thing has one cause."""

from typing import Any, NamedTuple

from selfdistill.config.claims import Rules
from selfdistill.report.answers import Arm
from selfdistill.report.verdicts import Comparison, compare, describe

NO_FACTOR = ("protocol", "method", "oddities")  # names, and the marks that follow from other settings
UNKNOWN = "settings that these logs do not tell"
SPREAD_OUT = ("network", "data", "parameters")  # their keys are factors of their own; a teacher is one as a whole


def factors(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The settings in which two runs differ, in the order of their names.

    A difference of objectives is one factor with all that only one of the two has: its heads, its teacher, its weights.
    A teacher is one factor, whatever its network differs in.
    """
    a, b = _flat(ours), _flat(theirs)
    found = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    if "objective" in found:
        found = [key for key in found if key in a and key in b]
    return found


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in settings.items():
        found |= value if key in SPREAD_OUT else {} if key in NO_FACTOR else {key: value}
    return found


class Pair(NamedTuple):
    """An arm minus another one, and the settings in which they differ; becomes: the arm's own value of each."""

    comparison: Comparison
    differ: list[str]
    becomes: dict[str, str]

    @property
    def isolated(self) -> bool:
        """Whether the difference is that of one factor."""
        return len(self.differ) == 1 and self.differ != [UNKNOWN]

    @property
    def changes(self) -> str:
        """What is other in the arm: `replaced_stem: True`, or the names alone of several settings."""
        if self.isolated:
            return "".join(f"{key}: {value}" for key, value in self.becomes.items())
        return ", ".join(self.differ) or "nothing that their settings name"

    @property
    def words(self) -> str:
        """`kd_replaced_stem − kd: -36.90 points, ... (n = 2 and 2)`."""
        found = self.comparison
        return f"{found.arm.method} − {found.against.method}: {describe(found)}"


def pair(arm: Arm, against: Arm, rules: Rules) -> Pair:
    """Two arms compared, at 95 %."""
    compared = compare(arm, against, rules)
    if arm.foreign or against.foreign:
        return Pair(compared, [UNKNOWN], {})
    differ, values = factors(arm.settings, against.settings), _flat(arm.settings)
    return Pair(compared, differ, {key: _plain(values.get(key)) for key in differ})


def _plain(value: Any) -> str:
    """A setting in short; of a teacher its model and stem, and how many of them."""
    if isinstance(value, dict):
        several = [f"{value['members']} of"] if "members" in value else []
        return " ".join([*several, *(str(value[key]) for key in ("model", "stem") if key in value)])
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
