"""The verbs that use a result: show, export, predict."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from selfdistill.cli.app import USE, app
from selfdistill.cli.options import Files, OutputFolder


@app.command(rich_help_panel=USE)
def show(
    files: Files = None,
    started: Annotated[float | None, Option(help="The start time, in seconds since 1970.")] = None,
) -> None:
    """Print Table I, the files to open and what to try next."""
    from selfdistill.config.load import load_config
    from selfdistill.tools.show import last_screen

    config = load_config(files or [Path("config.yaml")])
    if config.sweep:  # it has no Table I
        print("\n".join(str(path) for path in sorted(Path("report", config.protocol).glob("sweep_*.md"))))
    else:
        print("\n".join(last_screen(config, started)))


@app.command(rich_help_panel=USE)
def predict(
    pictures: Annotated[list[Path], Argument(help="PNG or JPEG, of any size.")],
    weights: Annotated[Path, Option(help="The weights.safetensors of a run or of an exported folder.")],
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
        str, Option(help="The licence of the weights in the model card.")
    ] = "MIT, as the code that made them",
) -> None:
    """Write weights, model card and a program for torchvision."""
    from selfdistill.tools.export import export as export_run

    for name in export_run(run, output, licence):
        print(output / name)
