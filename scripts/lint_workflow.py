"""Run `snakemake --lint`, print the findings that are not allowed, and exit with 1 if there are any."""

import re
import subprocess
import sys

ALLOWED = {
    # The whole environment is installed once from constraints.txt; one per rule would contain torch nine times.
    "Specify a conda environment or container for each rule.",
}


def findings() -> list[str]:
    """The linter's findings that are not allowed."""
    run = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], capture_output=True, text=True)
    text = run.stdout + run.stderr
    if not re.search(r"^Lints for|Congratulations", text, re.MULTILINE):
        return [f"the linter did not run: {text.strip()}"]
    place, found = "", []
    for line in text.splitlines():
        if line.startswith("Lints for "):
            place = line.removeprefix("Lints for ").rstrip(":")
        elif line.startswith("    * ") and line[6:].rstrip(":") not in ALLOWED:
            found.append(f"{place}: {line[6:]}")
    return found


if __name__ == "__main__":
    left = findings()
    print("\n".join(left) if left else "snakemake --lint: no findings except the allowed ones")
    sys.exit(bool(left))
