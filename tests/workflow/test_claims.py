"""The paper's explanations, measured, from the target `claims`."""

import json

METHODS = ("teacher", "kd", "self_distillation", "control")


def test_claims_measures_every_run_and_trains_none_again(done):
    expected = {f"measure {method}/0" for method in METHODS} | {"mechanisms_table", "find_nearest"}
    expected |= {"write_report_settings measure"}
    assert set(done.plan("claims")) == expected | {"write_report_settings mechanisms"}
    done.run("claims", cores=2)
    assert done.plan("claims") == {}
    found = {method: _measured(done, method) for method in METHODS}
    assert {method for method in METHODS if found[method]["teachers"]} == {"kd", "self_distillation", "control"}
    for name in ("mechanisms.csv", "mechanisms.md", "mechanisms.tex", "explanations.csv"):
        assert (done.folder / "report/demo" / name).stat().st_size > 400
    for name in ("flatness", "corruptions", "teachers", "stages", "reliability"):
        assert all(
            (done.folder / f"report/demo/mechanisms_{name}.{end}").stat().st_size > 1000 for end in ("pdf", "png")
        )
    assert "withheld" in (done.folder / "report/demo/mechanisms.csv").read_text()  # a reduced protocol
    _only_what_changed_is_done_again(done)


def _measured(done, method) -> dict:
    return json.loads((done.folder / f"results/demo/{method}/seed0/mechanisms.json").read_text())


def _only_what_changed_is_done_again(done):
    label = done.write("label.yaml", "methods: {kd: {label: Another}}")
    assert set(done.plan("claims", files=(label,))) == {
        *("write_report_settings mechanisms", "mechanisms_table"),
    }
    sizes = done.write("sizes.yaml", "mechanisms: {noise_draws: 2}")
    again = {f"measure {method}/0" for method in METHODS} | {"write_report_settings measure", "mechanisms_table"}
    assert again <= set(done.plan("claims", files=(sizes,)))
