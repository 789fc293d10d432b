"""The steps in which the workflow makes a report: rules, verbs, and headings in `snakemake --report`."""

STEPS = {
    "table": "Table I",
    "figures": "Figures",
    "claims": "Claims and differences",
    "sweep": "Sweeps",
    "report": "The report",
}
