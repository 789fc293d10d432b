"""The paper's explanations, measured where `explanations: true` asks for them."""

METHODS = ("teacher", "kd", "self_distillation", "control")
MEASURED = {f"measure {method}/0" for method in METHODS}
MADE = {"write_report_settings", "claims", "report"}


def test_explanations_measure_every_run_and_train_none_again(done):
    name = done.write("explanations.yaml", "explanations: true")
    plan = done.plan(files=(name,))
    assert set(plan) >= MEASURED | MADE
    assert not any(job.startswith("train") for job in plan)
    done.run(cores=2, files=(name,))
    assert done.plan(files=(name,)) == {}
    told = {method: done.facts(method, name="mechanisms.json") for method in METHODS}
    assert {method for method in METHODS if told[method]["teachers"]} == {"kd", "self_distillation", "control"}
    assert "agreement:teacher" in (done.folder / "report/demo/details/mechanisms.csv").read_text()
    label = done.write("label.yaml", "methods: {kd: {label: Another}}")
    assert set(done.plan(files=(name, label))) == MADE | {"table", "figures"}
    sizes = done.write("sizes.yaml", "mechanisms: {noise_draws: 2}")
    assert set(done.plan(files=(name, sizes))) == MEASURED | {"claims", "report"}
