"""Verbs of the command line in this process: starting Python and torch for each would take seconds."""

from subprocess import CompletedProcess

from typer.testing import CliRunner

from selfdistill.cli import app
from selfdistill.system.failures import Failure, Failures


def selfdistill(*arguments: object) -> CompletedProcess:
    """What `python -m selfdistill` would end with; how it ends after a failure: tests/test_cli.py."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, Failure | Failures):
        return CompletedProcess(arguments, done.exception.code, done.stdout, f"{done.exception}\n")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
