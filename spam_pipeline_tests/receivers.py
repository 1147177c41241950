"""Somebody who is notified: an HTTP server that keeps what it receives, and can be down, refuse or hang."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from typing_extensions import override


@dataclass
class Receiver:
    """What a server has received, and how it answers."""

    port: int = 0
    status: int = 200
    received: list[dict[str, Any]] = field(default_factory=list)
    answers: Event = field(default_factory=Event)

    def url(self, path: str = "inbox") -> str:
        """The URL of one of its targets, with a secret in it."""
        return f"json://user:s3cret@localhost:{self.port}/{path}?rto=60"

    def take(self, path: str = "inbox") -> list[dict[str, Any]]:
        """The messages to a target since the last time, in their order."""
        found = [item for item in self.received if item["path"] == f"/{path}"]
        self.received = [item for item in self.received if item not in found]
        return found

    def titles(self, path: str = "inbox") -> list[str]:
        """The titles of these."""
        return [item["title"] for item in self.take(path)]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A server on a port of its own, or on a given one, as long as the block runs."""
    receiver = Receiver()
    receiver.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.answers.wait(30)
            if receiver.status == 200:
                receiver.received.append({**message, "path": self.path.partition("?")[0]})
            self.send_response(receiver.status)
            self.end_headers()

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("localhost", port), Handler)
    receiver.port = server.server_port
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield receiver
    finally:
        receiver.answers.set()
        server.shutdown()
        server.server_close()
        serving.join()
