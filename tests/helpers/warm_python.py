"""A `python` that starts quickly: each start is a fork of one that has loaded torch, matplotlib and Snakemake.

The package itself is loaded anew each time. A small client stands in for the process: it hands over its arguments,
folder, environment and streams, and ends as the fork ended. So this is not for a test that signals or measures it.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

LOADED = ("torch", "torchvision", "torch._dynamo", "pandas", "matplotlib.figure", "fontTools.subset", "snakemake.cli")
LOADED += ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf")
CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect("{address}")
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
socket.send_fds(server, [request.encode()], [0, 1, 2])
os._exit(int(server.recv(9)))
"""


@functools.cache
def warm_python() -> str:
    """The path of the client, which takes `-m module` alone. Its server ends with this process.

    Without Linux it is Python itself.
    """
    if sys.platform != "linux":
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    client, address = folder / "bin/python", folder / "socket"
    client.parent.mkdir()
    client.write_text(CLIENT.format(python=os.path.realpath(sys.executable), address=address))
    client.chmod(0o755)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(address))
    listener.listen(64)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"env": environment | {"OMP_NUM_THREADS": "1"}, "stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    command = [sys.executable, __file__, str(client), str(listener.fileno())]
    server = subprocess.Popen(command, pass_fds=[listener.fileno()], **options)
    atexit.register(server.stdin.close)  # keeps it open until then
    return str(client)


def serve(client: str, listener: socket.socket) -> None:
    """Start what the clients ask for, until stdin ends."""
    for name in LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return supervise(client, connection)
        connection.close()
    shutil.rmtree(Path(client).parents[1])


def supervise(client: str, connection: socket.socket) -> None:
    """Run the command in a fork, and report its end; end it if the client ends first."""
    request, streams, *_ = socket.recv_fds(connection, 1 << 20, 3)
    process = os.fork()
    if process == 0:
        connection.close()
        return become(client, streams, *json.loads(request))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(process)
    if ended not in select.select([connection, ended], [], [])[0]:
        os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    connection.send(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def become(client: str, streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a module as a new Python would."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    paths = environment.get("PYTHONPATH", "")
    sys.path[:1] = [folder, *(paths.split(os.pathsep) if paths else [])]
    sys.executable = client
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    option, module, *words = arguments
    assert option == "-m", arguments
    sys.argv, code = [module, *words], 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()  # without taking apart what was loaded, as the package itself ends
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
