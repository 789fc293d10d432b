"""A server on this machine that does at /<name> what its behaviours say: well, or as a real one may fail."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 800
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


class Handler(BaseHTTPRequestHandler):
    """Answers as its server is told to, and notes what it was asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        with contextlib.suppress(OSError):
            self.server.behaviours[self.path.strip("/").split(".")[0].split("?")[0]](self)

    def log_message(self, *args):
        pass

    def answer(self, content: bytes, status: int = 200, **headers):
        self.send_response(status)
        for key, value in ({"Content_Length": str(len(content))} | headers).items():
            if value is not None:
                self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def endless(self, status: int = 200, **headers):
        self.answer(b"", status, Content_Length=None, **headers)
        while True:
            self.wfile.write(CONTENT)


BEHAVIOURS: dict[str, Callable[[Handler], None]] = {  # more: tests/faults/test_network.py
    "good": lambda handler: handler.answer(CONTENT),
    "not_found": lambda handler: handler.answer(b"no", 404),
    "wrong_bytes": lambda handler: handler.answer(CONTENT[:-1] + b"!"),
    "short_body": lambda handler: handler.answer(CONTENT[:-1000], Content_Length=str(SIZE)),
    "endless_body": lambda handler: handler.endless(),
}


@contextlib.contextmanager
def serving(behaviours: dict[str, Callable[[Handler], None]] = BEHAVIOURS) -> Iterator[ThreadingHTTPServer]:
    """The server, at `address`; `asked` are the paths that it was asked for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        service.daemon_threads, service.asked, service.behaviours = True, [], behaviours
        service.address = f"http://127.0.0.1:{service.server_port}"
        service.handle_error = lambda *_: None
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield service
        service.shutdown()
