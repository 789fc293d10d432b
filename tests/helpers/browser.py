"""A page in headless Chromium, by the DevTools protocol: how wide it is on a phone, what it says, what it asks for."""

import base64
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import urllib.request
from pathlib import Path

from helpers.waiting import wait_for


class Browser:
    """Chromium that resolves no name of the network; `events` are what it told while the page was opened."""

    def __init__(self, folder: Path):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
        options += [f"--user-data-dir={folder}", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"]
        command = [shutil.which("chromium"), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.port = self._wait_for_port(folder / "DevToolsActivePort")
        self.events: list[dict] = []
        self.numbers = itertools.count(1)
        self._connect()
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(120)

    @staticmethod
    def _wait_for_port(path: Path) -> int:
        wait_for(lambda: path.is_file() and len(path.read_text().split()) >= 2, "Chromium did not start")
        return int(path.read_text().split()[0])

    def _connect(self) -> None:
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json"))
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=300)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET /{address.split('/', 3)[3]} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.stream = self.socket.makefile("rb")
        while self.stream.readline() != b"\r\n":
            pass

    def _receive(self) -> dict:
        """The next message (RFC 6455), put together from its frames."""
        data, last = b"", False
        while not last:
            first, length = self.stream.read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self.stream.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.stream.read(8))
            data, last = data + self.stream.read(length), bool(first & 0x80)
        return json.loads(data)

    def call(self, method: str, **parameters) -> dict:
        """The answer to a command; what is told meanwhile goes to `events`."""
        number = next(self.numbers)
        text = json.dumps({"id": number, "method": method, "params": parameters}).encode()
        length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        self.socket.sendall(b"\x81" + length + bytes(4) + text)  # a mask of zeros
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
