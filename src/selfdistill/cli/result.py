"""The verbs that use a result: read it, hand it on, ask it."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from selfdistill.cli.app import USE, app
from selfdistill.cli.options import OutputFolder, ReportFolder
from selfdistill.system.failures import Failure


@app.command(rich_help_panel=USE)
def show(report: ReportFolder) -> None:
    """Print Table I and list the files to open."""
    try:
        print((report / "table1.md").read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(report / "table1.md", f"cannot be read ({error.strerror})", "make the table first") from error
    print("to open:")
    for path in sorted(path for path in report.iterdir() if path.is_file()):
        print(f"  {path}")
    if (report / "report.html").is_file():
        print(f"all of it on one page: {report / 'report.html'}")


@app.command(rich_help_panel=USE)
def predict(
    pictures: Annotated[list[Path], Argument(help="PNG or JPEG, of any size.")],
    weights: Annotated[Path, Option(help="A weights.safetensors, of a run or an exported folder.")],
    top: Annotated[int, Option(min=1, help="How many classes to show.")] = 3,
) -> None:
    """Classify your own pictures with a trained network."""
    from selfdistill.tools.predict import predict as predict_pictures

    print(predict_pictures(pictures, weights, top))


@app.command(rich_help_panel=USE)
def export(
    run: Annotated[Path, Option(help="A run's folder, results/<protocol>/<method>/seed<n>.")],
    output: OutputFolder,
    licence: Annotated[
        str, Option(help="Of the weights, as the model card says it.")
    ] = "MIT, as the code that made them",
) -> None:
    """Write weights, model card and a program for torchvision alone."""
    from selfdistill.tools.export import export as export_run

    for name in export_run(run, output, licence):
        print(output / name)
