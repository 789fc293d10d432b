"""The columns of a run's logs, shared by training, which writes them, and the report, which reads them."""

HISTORY_START = ("epoch", "learning_rate", "train_loss", "train_cross_entropy", "train_distillation", "train_feature")
TIMING = ("epoch", "data", "train", "teacher", "evaluation", "checkpoint", "compile")
WORK = TIMING[1:]  # seconds of these columns are the training time of Table I


def fixed_columns(evaluated: str = "test") -> tuple[str, ...]:
    """The columns of every history.csv; evaluated: `test`, or `holdout` if a hold-out replaces it."""
    return (*HISTORY_START, "train_accuracy", f"{evaluated}_loss", f"{evaluated}_accuracy")


def history_columns(rows: list[dict]) -> list[str]:
    """The columns of history.csv: the fixed ones, then those that only some objectives have.

    The order depends only on the names, because rows from a saved state have sorted keys.
    """
    fixed = list(fixed_columns("holdout" if any("holdout_accuracy" in row for row in rows) else "test"))
    extra = {name for row in rows for name in row if name not in fixed}
    return fixed + sorted(extra, key=lambda name: (not name.startswith("train"), name.endswith("ensemble"), name))


def to_csv(columns: list[str], rows: list[dict]) -> str:
    """Rows as CSV text: floats in full (`repr`), an absent value as an empty field."""
    lines = [",".join(columns)]
    for row in rows:
        values = (row.get(column) for column in columns)
        lines.append(",".join("" if value is None else repr(value) for value in values))
    return "\n".join(lines) + "\n"
