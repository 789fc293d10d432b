"""The whole chain: kept networks, the evidence. Forced stages: test_store.py; kills: tests/faults."""

import sys


def test_the_kept_networks_reach_their_accuracy_from_their_files(done):
    done.run("evaluation")
    for method in ("teacher", "kd", "self_distillation", "control"):
        kept, recorded = (done.facts(method, name=name) for name in ("kept_network.json", "evaluation.json"))
        assert kept["correct"] == recorded["correct"]


def test_the_evidence_rebuilds_the_same_table(done):
    done.run("evidence")
    files = {name: (done.folder / "report/demo" / name).read_bytes() for name in ("table1.tex", "curves_loss.pdf")}
    for name in files:
        (done.folder / "report/demo" / name).unlink()
    (done.folder / "results").rename(done.folder / "elsewhere")
    # A Python of its own has another hash seed than the one that made the first table.
    text = done.run("table", "figures", "--config", "logs=report/demo", python=sys.executable)
    assert "rule train_" not in text
    assert {name: (done.folder / "report/demo" / name).read_bytes() for name in files} == files
