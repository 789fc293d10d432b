import numpy as np
import pytest
from helpers.reporting import write_run
from scipy.stats import spearmanr

from selfdistill.report.logs import RunRecord
from selfdistill.report.soft_targets import rank_correlation, read_confusion
from selfdistill.system.failures import BAD_DATA
from selfdistill.system.files import read_sealed, sha256_bytes, write_sealed

CONFUSION = np.array([[8, 2, 0], [1, 9, 0], [3, 1, 6]])  # off the diagonal: .2 0 .1 0 .3 .1


def test_rho_by_hand():
    rows = [[0.5, 0.3, 0.2], [0.3, 0.6, 0.1], [0.4, 0.3, 0.3]]  # off the diagonal: .3 .2 .3 .1 .4 .3
    said, found = [4, 2, 4, 1, 6, 4], [5, 1.5, 3.5, 1.5, 6, 3.5]  # ranks; equal ones share theirs
    assert rank_correlation(rows, [CONFUSION]) == pytest.approx(np.corrcoef(said, found)[0, 1])


def test_the_diagonal_says_nothing():
    rows = np.array([[0.5, 0.3, 0.2], [0.3, 0.6, 0.1], [0.4, 0.3, 0.3]])
    other = rows + np.diag([9.0, -9.0, 5.0])
    assert rank_correlation(rows.tolist(), [CONFUSION]) == rank_correlation(other.tolist(), [CONFUSION])


def test_confusions_are_added_up_and_classes_weigh_the_same():
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 3)
    second = np.array([[0, 5, 5], [5, 5, 0], [1, 1, 8]])
    rates = CONFUSION + second
    rates = rates / rates.sum(1, keepdims=True)
    others = ~np.eye(3, dtype=bool)
    expected = spearmanr(rows[others], rates[others]).statistic
    assert rank_correlation(rows.tolist(), [CONFUSION, second]) == pytest.approx(expected)
    larger = CONFUSION * np.array([[1], [50], [1]])
    assert rank_correlation(rows.tolist(), [larger]) == rank_correlation(rows.tolist(), [CONFUSION])


@pytest.mark.parametrize(
    ("rows", "confusions"),
    [
        (np.full((3, 3), 1 / 3), [CONFUSION]),  # uniform soft targets name no class
        (CONFUSION / 10, [np.eye(3)]),  # no errors
        (CONFUSION / 10, []),
        (np.eye(4), [CONFUSION]),
    ],
)
def test_without_anything_to_rank_there_is_no_rho(rows, confusions):
    assert rank_correlation(rows.tolist(), confusions) is None


def with_predictions(logs, text):
    folder = write_run(logs, "control", 0, [0.5, 0.9])
    (folder / "predictions.csv").write_text(text)
    run = read_sealed(folder / "run.json")
    run["outputs"]["predictions.csv"] = sha256_bytes(text.encode())
    write_sealed(folder / "run.json", run)
    return folder, RunRecord(0, None, 1.0, run, None)


def test_a_confusion_has_the_true_class_as_its_row(tmp_path):
    folder, run = with_predictions(tmp_path, "label,prediction\n0,0\n0,2\n1,2\n2,2\n0,2\n")
    assert read_confusion(folder, run).tolist() == [[1, 0, 2], [0, 0, 1], [0, 0, 1]]


def test_predictions_that_the_run_did_not_record_are_refused(tmp_path, refused):
    folder, run = with_predictions(tmp_path, "label,prediction\n0,0\n")
    (folder / "predictions.csv").write_text("label,prediction\n0,1\n")
    with refused(BAD_DATA, "predictions.csv", "SHA-256"):
        read_confusion(folder, run)
    (folder / "predictions.csv").unlink()
    assert read_confusion(folder, run) is None
