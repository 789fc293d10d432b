"""The application: its help, its exit codes, and one line for an expected failure."""

import errno
import os
import shlex
import sys
import traceback
from pathlib import Path

from typer import Typer
from typer.core import TyperGroup

from selfdistill.system.failures import OUT_OF_MEMORY, STOPPED, Failure, Failures, in_one_line, is_out_of_memory
from selfdistill.system.files import DISK_ERRORS, disk_failure
from selfdistill.system.host import require_own_package
from selfdistill.system.log import Log, say_last
from selfdistill.system.stop import REQUEST, Stopped
from selfdistill.system.terminal import in_workflow

RULES = "Commands of the workflow"
LOOK = "Inspect runs"
USE = "Use results"


class GroupedHelp(TyperGroup):
    """Help with a heading above each group of verbs.

    Plain text: Typer's own panels load Rich, which takes three times as long as all the rest.
    """

    def format_commands(self, ctx, formatter) -> None:
        """Write the verbs of each group, in the order of their definition."""
        for panel in (RULES, LOOK, USE):
            verbs = [(name, verb.help) for name, verb in self.commands.items() if verb.rich_help_panel == panel]
            with formatter.section(panel):
                formatter.write_dl(verbs)


app = Typer(
    cls=GroupedHelp,
    help="Self-distillation and knowledge distillation on CIFAR-10. `VERB --help` lists the options of a verb.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run a verb. An expected failure prints one line and sets the exit code; `--debug` adds the traceback."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    _open_what_is_closed()
    if sys.stdout:  # None if it was closed
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shows ?, as stderr shows a code
    REQUEST.listen()
    try:
        require_own_package(Path.cwd())
        app()
    except (Failure, Failures) as failure:
        _end(str(failure), failure.code, debug)
    except Stopped as stopped:
        _stop(str(stopped), debug)
    except BrokenPipeError:  # the reader of our output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(1) from None
    except Exception as error:
        if isinstance(error, ImportError) and REQUEST.name:  # a signal interrupted an import
            _stop(f"stopped by {REQUEST.name}", debug)
        if isinstance(error, OSError) and error.errno in DISK_ERRORS | {errno.EACCES, errno.EPERM, errno.EROFS}:
            failure = disk_failure(error.filename or "disk", error)
            _end(str(failure), failure.code, debug)
        if is_out_of_memory(error):
            _end("error: memory: out of memory; close other programs or use a smaller batch", OUT_OF_MEMORY, debug)
        _end(f"{in_one_line(error)}; run again with --debug for the traceback", 1, debug)


def _open_what_is_closed() -> None:
    """Open the null device for each of stdin, stdout and stderr that is closed."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _stop(line: str, debug: bool) -> None:
    if in_workflow() and Log.latest is None:  # nothing was done
        raise SystemExit(STOPPED)
    again = f"; to resume: {shlex.join(['python', '-m', 'selfdistill', *sys.argv[1:]])}"
    named = Log.latest.named(line) if Log.latest else line
    _end(f"{named}{'' if in_workflow() else again}", STOPPED, debug)


def _end(line: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    say_last(line)
    raise SystemExit(code)
