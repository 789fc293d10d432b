# Which files each step of a report writes and reads, from the declarations in selfdistill.report.


@cache
def settings_of_report(protocol):
    """What the report of a protocol may know of its configuration; with allow_missing, of the rows that have a run."""
    config = PROTOCOLS[protocol]
    there = {Path(path).parts[-3] for path in run_files(config, ["run.json"], shown_runs(config))}
    rows = [row for row in config.rows if row in there] if config.allow_missing else config.rows
    return report_settings(config, rows, departures(GAPS, config, PAPER))


@cache
def report_of(protocol):
    """The same, checked."""
    return ReportSettings.model_validate(settings_of_report(protocol))


@cache
def report_text(protocol):
    """The same as a report's jobs read them."""
    return to_yaml(settings_of_report(protocol))


def steps_of(protocol):
    """The steps that a report has."""
    settings = report_of(protocol)
    return [step for step in STEPS if artefacts(settings, step)]


def written(protocol, step):
    """The files of a step, marked for `snakemake --report`."""
    settings = report_of(protocol)
    found = []
    for one in artefacts(settings, step):
        for path in one.files(settings):
            labels = {"shows": one.title, "as": path.rpartition(".")[2]}
            found.append(report(f"report/{protocol}/{path}", category=STEPS[step], labels=labels))
    return found


def read_by(protocol, step):
    """The files of runs that a step reads; of teachers that are no row, how long they took."""
    config, settings = PROTOCOLS[protocol], report_of(protocol)
    beside = [run for run in config.runs() if run not in shown_runs(config)] if step == "claims" else []
    return [
        *run_files(config, needs(settings, step), shown_runs(config)),
        *run_files(config, ["timing.csv", "run.json"], beside),
    ]


def report_files(protocol):
    """All that the report of a protocol has; the page comes last and shows the rest."""
    return [path for step in steps_of(protocol) for path in written(protocol, step)]


def report_file(protocol):
    """A function that names the settings of a report, when a job asks for them."""
    return lambda wildcards: named_by_content(f"results/{protocol}/settings/report", report_text(protocol))


def report_options(protocol, step):
    """A step's verb and options; takes `output`, because the same logs in another folder make the same report."""
    words = [step, "--logs", log_folder(PROTOCOLS[protocol]), "--output", f"report/{protocol}"]
    words += [word for name, path in asked_by(step).items() for word in (f"--{name}", path)]
    return lambda wildcards, output: shlex.join(words)


def asked_by(step):
    """The file of what a step asks of the results, by its option."""
    return {"claims": ours("workflow/claims.yaml")} if step in ("claims", "report") else {}
