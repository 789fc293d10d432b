"""A server on this machine that does at /<name> what BEHAVIOURS says: well, or as a real one may fail."""

import contextlib
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 800
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
STALL = 3  # seconds


class Handler(BaseHTTPRequestHandler):
    """Answers from BEHAVIOURS, and notes what it was asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        with contextlib.suppress(OSError):
            BEHAVIOURS[self.path.strip("/").split(".")[0].split("?")[0]](self)

    def log_message(self, *args):
        pass

    def answer(self, content: bytes, status: int = 200, **headers):
        self.send_response(status)
        for key, value in ({"Content_Length": str(len(content))} | headers).items():
            if value is not None:
                self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def moved(self, location: str):
        self.answer(b"", 302, Location=location)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def endless(self):
        while True:
            self.wfile.write(CONTENT)

    def raw(self, content: bytes):
        self.connection.sendall(content)


def busy_once(handler):
    handler.answer(b"", 503) if handler.server.asked.count(handler.path) == 1 else handler.answer(CONTENT)


def chunked(handler):
    handler.answer(b"", Content_Length=None, Transfer_Encoding="chunked")
    for start in range(0, SIZE, 50_000):
        piece = CONTENT[start : start + 50_000]
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def reset_in_the_body(handler):
    handler.answer(CONTENT[:1000], Content_Length=str(SIZE))
    handler.reset()


def stall_in_the_body(handler):
    handler.answer(CONTENT[:1000], Content_Length=str(SIZE))
    time.sleep(STALL)


def drip_of_body(handler):
    handler.answer(b"", Content_Length=str(SIZE))
    for byte in CONTENT[:200]:
        handler.raw(bytes([byte]))
        time.sleep(0.05)


def endless_body(handler):
    handler.answer(b"", Content_Length=None)
    handler.endless()


def redirect_with_endless_body(handler):
    """Leads to a good answer; what comes with the redirection must not be read."""
    handler.answer(b"", 302, Location="/good", Content_Length=None)
    handler.endless()


BEHAVIOURS: dict[str, Callable[[Handler], None]] = {
    "good": lambda handler: handler.answer(CONTENT),
    # A server that takes a .tar.gz for a page that it compressed: the bytes are the file's.
    "compressed_on_the_way": lambda handler: handler.answer(CONTENT, Content_Encoding="gzip"),
    "busy_once": busy_once,
    "chunked": chunked,
    "nonsense_length": lambda handler: handler.answer(CONTENT, Content_Length="-5"),
    "number_of_5000_digits_for_a_length": lambda handler: handler.answer(CONTENT, Content_Length="9" * 5000),
    "redirect": lambda handler: handler.moved("/good"),
    "redirect_with_endless_body": redirect_with_endless_body,
    "redirect_loop": lambda handler: handler.moved("/redirect_loop"),
    "redirect_to_a_file": lambda handler: handler.moved("file:///etc/passwd"),
    "redirect_to_nowhere": lambda handler: handler.moved("http://name.invalid/x"),
    "redirect_to_no_address": lambda handler: handler.moved("http://[x"),
    "redirect_to_no_host": lambda handler: handler.moved("http://a..b/"),
    "reset_before_headers": Handler.reset,
    "reset_in_the_body": reset_in_the_body,
    "stall_before_headers": lambda handler: time.sleep(STALL),
    "stall_in_the_body": stall_in_the_body,
    "drip_of_body": drip_of_body,
    "short_body": lambda handler: handler.answer(CONTENT[:-1000], Content_Length=str(SIZE)),
    "short_body_without_length": lambda handler: handler.answer(CONTENT[:-1000], Content_Length=None),
    "page": lambda handler: handler.answer(b"<html>Please log in</html>", Content_Type="text/html; charset=utf-8"),
    "not_found": lambda handler: handler.answer(b"no", 404),
    "busy": lambda handler: handler.answer(b"", 503),
    "endless_body": endless_body,
    "longer_than_configured": lambda handler: handler.answer(CONTENT + b"!"),
    "wrong_bytes": lambda handler: handler.answer(CONTENT[:-1] + b"!"),
    "nothing": lambda handler: handler.answer(b""),
    "no_http": lambda handler: handler.raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "huge_headers": lambda handler: handler.raw(b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n"),
}


@contextlib.contextmanager
def serving() -> Iterator[ThreadingHTTPServer]:
    """The server, at `address`; `asked` are the paths that it was asked for."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        service.daemon_threads, service.asked = True, []
        service.address = f"http://127.0.0.1:{service.server_port}"
        service.handle_error = lambda *_: None
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield service
        service.shutdown()
