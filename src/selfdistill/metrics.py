"""Columns of a run's logs, shared by the training that writes them and the report that reads them."""

HISTORY_START = ("epoch", "learning_rate", "train_loss", "train_cross_entropy", "train_distillation", "train_feature")
HISTORY_END = ("train_accuracy", "test_loss", "test_accuracy")
TIMING = ("epoch", "data", "train", "teacher", "evaluation", "checkpoint", "compile")
WORK = TIMING[1:]  # seconds of these columns are the training time of Table I


def history_columns(rows: list[dict]) -> list[str]:
    """The columns of history.csv: the fixed ones, then those that only some objectives have.

    Their order depends on the names alone: rows that come back from a saved state have sorted keys.
    """
    fixed = [*HISTORY_START, *HISTORY_END]
    extra = {name for row in rows for name in row if name not in fixed}
    return fixed + sorted(extra, key=lambda name: (not name.startswith("train"), name.endswith("ensemble"), name))


def to_csv(columns: list[str], rows: list[dict]) -> str:
    """Rows as CSV text: floats in full (`repr`), an absent value as an empty field."""
    lines = [",".join(columns)]
    for row in rows:
        values = (row.get(column) for column in columns)
        lines.append(",".join("" if value is None else repr(value) for value in values))
    return "\n".join(lines) + "\n"
