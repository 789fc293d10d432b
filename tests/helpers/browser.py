"""A page in headless Chromium, by the DevTools protocol: how wide it is on a phone, what it says, what it asks for."""

import base64
import itertools
import json
import os
import subprocess
from pathlib import Path

from helpers.waiting import wait_for


class Browser:
    """Chromium that resolves no name of the network; `events` are what it told while the page was opened."""

    def __init__(self, folder: Path):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        options += [f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"]
        (its_input, ours), (answers, its_output) = os.pipe(), os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        start = ["sh", "-c", f'exec chromium "$@" 3</dev/fd/{its_input} 4>/dev/fd/{its_output}', "sh"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([*start, *options], pass_fds=(its_input, its_output), **quiet)
        os.close(its_input)
        os.close(its_output)
        self.commands, self.answers = os.fdopen(ours, "wb", buffering=0), os.fdopen(answers, "rb")
        self.events: list[dict] = []
        self.numbers, self.session = itertools.count(1), {}
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]}
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.process.terminate()
        self.process.wait(120)
        self.commands.close()
        self.answers.close()

    def _receive(self) -> dict:
        """The next message; a zero byte ends each."""
        message = b"".join(iter(lambda: self.answers.read(1), b"\0"))
        return json.loads(message)

    def call(self, method: str, **parameters) -> dict:
        """The answer to a command; what is told meanwhile goes to `events`."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters} | self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        while (message := self._receive()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, path: Path, width: int, *, mobile: bool = False) -> None:
        """Show a file at this width and wait until it is loaded."""
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        wait_for(self._is_loaded, "the page did not load")

    def _is_loaded(self) -> bool:
        self.evaluate("0")  # what is told meanwhile comes with the answer
        return any(event.get("method") == "Page.loadEventFired" for event in self.events)

    def evaluate(self, expression: str):
        """A JavaScript expression's value in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def told(self, *methods: str) -> list[dict]:
        """What was told by these methods since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def printed(self) -> bytes:
        """The page as a PDF, on the paper that it asks for."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])
