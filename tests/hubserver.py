"""A server on this machine that speaks the Hugging Face hub's protocol as far as downloads need it."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "a" * 40


@dataclass
class Hub:
    """Contents and faults of the server.

    Attributes:
        files: contents by address, such as `/hugggof/vampnet/resolve/main/codec.pth`.
        commit: of every repository.
        cuts: by end of address, the number of bytes to send of each of the next answers.
        statuses: by end of address, the HTTP error to answer with.
        rotten: ends of addresses whose contents arrive with the last byte changed.
        log: method, address and range of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = COMMIT
    cuts: dict[str, list[int]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    rotten: set[str] = field(default_factory=set)
    log: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    def reset(self, files: dict[str, bytes]) -> None:
        """Hold these files, behave, and forget every request."""
        self.files, self.commit, self.cuts, self.statuses, self.rotten = files, COMMIT, {}, {}, set()
        self.log.clear()

    def gets(self, end: str) -> list[str]:
        """The requested ranges of a file; an empty string is the whole file."""
        return [asked for method, path, asked in self.log if method == "GET" and path.endswith(end)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub, asked = self.hub, self.headers.get("Range", "")
        hub.log.append((self.command, self.path, asked))
        status = next((code for end, code in hub.statuses.items() if self.path.endswith(end)), None)
        content = hub.files.get(self.path.replace(f"/resolve/{hub.commit}/", "/resolve/main/"))
        if status or content is None:
            self.refuse(status or 404)
            return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        start = int(asked.removeprefix("bytes=").partition("-")[0] or 0) if asked else 0
        if self.headers.get("If-Range", etag) != etag:
            start = 0
        if start >= len(content):
            self.refuse(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", etag)
        self.send_header("X-Linked-ETag", etag)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "GET":
            self.send(content, start)

    def send(self, content: bytes, start: int) -> None:
        if any(self.path.endswith(end) for end in self.hub.rotten):
            content = content[:-1] + bytes([content[-1] ^ 1])
        cuts = next((cuts for end, cuts in self.hub.cuts.items() if self.path.endswith(end)), [])
        if cuts:
            self.wfile.write(content[start : start + cuts.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Hub]:
    """Run an empty server in a thread."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use(hub: Hub, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Point vamp and huggingface_hub to that server and to folders under `home`."""
    from huggingface_hub import constants

    patch.setenv("VAMP_HOME", str(home / "vamp"))
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setenv("no_proxy", "127.0.0.1")
    patch.setattr(constants, "ENDPOINT", hub.url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "cache"))
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # a resumed download starts after the last whole chunk
    for name in ("HF_TOKEN_PATH", "AGENT_HARNESSES_PATH", "HF_STORED_TOKENS_PATH"):
        patch.setattr(constants, name, str(home / name), raising=False)
    patch.delenv("HF_TOKEN", raising=False)
    patch.setattr("time.sleep", lambda _: None)


def forbid_sockets(patch: pytest.MonkeyPatch) -> None:
    """Let every new socket fail."""
    from huggingface_hub import close_session

    close_session()  # which keeps connections open

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    patch.setattr(socket, "socket", forbidden)
    patch.setattr(socket, "create_connection", forbidden)
    patch.setattr(socket, "getaddrinfo", forbidden)
