# The inputs and outputs of the report's rules; they follow from the declarations in selfdistill.report.
from selfdistill.config.report_settings import ReportSettings, report_settings
from selfdistill.report.artefacts import artefacts, needs
from selfdistill.report.claims import read_claims
from selfdistill.report.gaps import departures, read_gaps
from selfdistill.report.steps import STEPS

EVIDENCE = ("history.csv", "timing.csv", "predictions.csv", "evaluation.json", "run.json")
# The folder of the runs' logs: the results trained here, or the folder that `logs` names.
LOGS = f"results/{CONFIG.protocol}" if CONFIG.logs == "results" else CONFIG.logs
LOGS = LOGS if CONFIG.logs == "results" or Path(LOGS).is_dir() else ours(LOGS)


def run_files(names, runs):
    """These files of runs; if no run is trained here, only those that exist."""
    paths = [f"{LOGS}/{method}/seed{seed}/{name}" for method, seed in runs for name in names]
    trained = CONFIG.logs == "results" and not CONFIG.allow_missing
    return paths if trained else [path for path in paths if Path(path).is_file()]


def settings_of_report():
    """The part of the configuration that the report reads; with allow_missing, only rows with a run."""
    there = {Path(path).parts[-3] for path in run_files(["run.json"], SHOWN)}
    rows = [row for row in CONFIG.rows if row in there] if CONFIG.allow_missing else CONFIG.rows
    gaps, paper = read_gaps(BASE / "docs" / "paper-gaps.yaml"), load_config([BASE / "config.yaml"])
    return report_settings(CONFIG, rows, departures(gaps, CONFIG, paper))


KNOWN = refused(settings_of_report)
REPORT_TEXT, REPORT = to_yaml(KNOWN), ReportSettings.model_validate(KNOWN)
CLAIMS = ours("workflow/claims.yaml")
refused(read_claims, Path(CLAIMS), list(REPORT.known))  # before anything is trained
REPORT_STEPS = [step for step in STEPS if artefacts(REPORT, step)]


def written(*steps):
    """The files of steps, marked for `snakemake --report`."""
    found = []
    for step, one in [(step, one) for step in steps for one in artefacts(REPORT, step)]:
        for path in one.files(REPORT):
            labels = {"shows": one.title, "as": path.rpartition(".")[2]}
            found.append(report(f"report/{CONFIG.protocol}/{path}", category=STEPS[step], labels=labels))
    return found


def read_by(step):
    """The files of runs that a step reads; of teachers that are not rows, only run.json, which has the times."""
    beside = [run for run in CONFIG.runs() if run not in SHOWN] if step == "claims" else []
    return run_files(needs(REPORT, step), SHOWN) + run_files(["run.json"], beside)
