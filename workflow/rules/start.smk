# Before the configuration is read: import the package and set up the screen. Imports no torch.
import atexit
import gc
import os
import shlex
import sys

gc.set_threshold(100_000)  # Python's own, 700, makes a plan a tenth slower
atexit.register(gc.freeze)  # else the last collection looks at every object, for most of a second
try:
    import selfdistill
except ImportError as error:
    print(f"error: selfdistill: {sys.executable} cannot import it ({error})", end="; ", file=sys.stderr)
    print("use this project's environment (sh scripts/set_up.sh makes .venv)", file=sys.stderr)
    sys.exit(78)

from selfdistill.system.host import command_of
from selfdistill.tools.screen import arrange

PYTHON, SNAKEMAKE = command_of("python"), command_of("snakemake")  # as the user types them; PATH changes later
AGAIN = f"{SNAKEMAKE} {shlex.join(sys.argv[1:])}"
SCREEN = arrange(workflow, AGAIN)
