"""An S3 server of the test's own, on loopback, that remembers what it was asked."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from s3fs import S3FileSystem  # type: ignore[import-untyped]  # it ships no types
from werkzeug.serving import WSGIRequestHandler, make_server

StartResponse = Callable[..., Any]


class Request(NamedTuple):
    """A request, and how many bytes of a file the answer had."""

    kind: str
    path: str
    bytes: int


@dataclass
class ObjectStorage:
    """A bucket; `requests` are those since the last `take`."""

    requests: list[Request]
    url: str

    def take(self) -> list[Request]:
        """The requests since the last time."""
        taken, self.requests[:] = list(self.requests), []
        return taken


def kinds(requests: Iterable[Request]) -> dict[str, int]:
    """The number of requests of each kind; a GET is one of a whole file, of a range or of a list."""
    return dict(Counter(request.kind for request in requests))


def fetched(requests: Iterable[Request]) -> int:
    """The bytes of files that were fetched."""
    return sum(request.bytes for request in requests if request.kind in {"GET", "GET range"})


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Log nothing."""


class _Remembering:
    def __init__(self) -> None:
        self.seen: list[Request] = []
        self._app = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            length = {name.lower(): value for name, value in headers}.get("content-length", "0")
            self.seen.append(Request(_kind(environ), environ["PATH_INFO"], int(length)))
            return start_response(status, headers, *rest)

        return self._app(environ, start)


def _kind(environ: dict[str, Any]) -> str:
    if environ["REQUEST_METHOD"] != "GET":
        return str(environ["REQUEST_METHOD"])
    if "list-type" in environ.get("QUERY_STRING", ""):
        return "LIST"
    return "GET range" if "HTTP_RANGE" in environ else "GET"


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """Serve one bucket, and let this process find it."""
    app = _Remembering()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patched.setenv("AWS_ACCESS_KEY_ID", "of-a-test")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "of-a-test")
        S3FileSystem.clear_instance_cache()  # those of an earlier server in this process know its place
        S3FileSystem().mkdir(bucket := f"bucket-of-{server.server_port}")
        app.seen.clear()
        yield ObjectStorage(app.seen, f"s3://{bucket}")
    server.shutdown()
    thread.join()
    server.server_close()
