"""The server of the editor: routes, uploads, events."""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import FrameType

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from vampcli.errors import UsageError, VampError, from_os_error
from vampcli.ui.folder import OutsideError
from vampcli.ui.guard import Guard, answer
from vampcli.ui.order import Orders
from vampcli.ui.routes import WINDOW, Handler
from vampcli.ui.session import Session
from vampcli.ui.sounds import Sound
from vampcli.ui.uploads import TooLargeError
from vampcli.ui.worker import Worker, words

_PAGE, _UI = "vampcli.page", "vampcli.ui"
_SCRIPTS = {
    _PAGE: ("chunks", "player", "keys"),
    _UI: ("dom", "wave", "spans", "form", "playback", "takes", "files", "ui"),
}
_ASSETS = {f"{name}.js": (package, "text/javascript") for package, names in _SCRIPTS.items() for name in names} | {
    "ui.css": (_UI, "text/css"),
    "page.css": (_PAGE, "text/css"),
}


@dataclass
class Studio:
    """What all windows share.

    Attributes:
        orders: makes orders.
        folder: of takes and uploads, until the server ends.
        path: of the recording that new windows show; None = they are empty.
        root: folder below which recordings can be opened, and in which takes of uploads are kept.
        worker: makes the takes.
        token: first part of every path.
    """

    orders: Orders
    folder: Path
    path: Path | None = None
    root: Path = Path()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    sessions: dict[str, Session] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worker = Worker(self.orders.load, self.changed)

    def changed(self) -> None:
        """Wake all windows."""
        for session in tuple(self.sessions.values()):
            session.changed()

    def session(self) -> Session:
        """Return a window that was closed, with its takes, or a new one."""
        for session in self.sessions.values():
            if session.is_free:
                session.claim()
                return session
        name = f"window{len(self.sessions) + 1}"
        (folder := self.folder / name).mkdir()
        self.sessions[name] = session = Session(name, folder, self.orders, self.worker, self.root)
        return session

    @property
    def n_unkept(self) -> int:
        """Takes that are in no folder of the user."""
        return sum(take.kept is None for one in self.sessions.values() for take in one.takes.values())

    def opened(self) -> Sound | None:
        """Return the recording of new windows, which is read once."""
        return self._read(self.path) if self.path else None

    @cache  # noqa: B019 (there is one studio)
    def _read(self, path: Path) -> Sound:
        return Sound.open(path, str(path), path.parent, is_uploaded=False)

    def __hash__(self) -> int:
        return id(self)


def create_app(studio: Studio, hosts: Sequence[str], more: Sequence[BaseRoute] = ()) -> Guard:
    """Return the application.

    Args:
        studio: what it serves.
        hosts: `127.0.0.1:PORT` and `localhost:PORT`.
        more: routes of other protocols; their paths begin with `/gradio_api/` and need no token.
    """
    routes: list[BaseRoute] = [
        Route("/{token}/", _first(studio)),
        Route("/{token}/assets/{name}", _asset),
        *more,
    ]
    for path, handler, method in WINDOW:
        routes.append(Route(f"/{{token}}/{{window}}/{path}", _in_window(studio, handler), methods=[method]))
    return Guard(Starlette(routes=routes), hosts, studio.token, ["/gradio_api/"] if more else ())


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    """Yield a socket of this machine alone; port 0 takes any that is free.

    Raises:
        UsageError: the port is taken or not allowed.
    """
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UsageError(f"port {port}: {error}", "name another one, or none: --port 0") from error
    with listener:
        yield listener


@contextmanager
def studio_folder() -> Iterator[Path]:
    """Yield a folder that is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="vamp-ui-") as folder:
        yield Path(folder)


def serve(studio: Studio, listener: socket.socket, more: Sequence[BaseRoute] = ()) -> None:
    """Answer requests until an interruption."""
    import uvicorn

    port = listener.getsockname()[1]
    app = create_app(studio, [f"127.0.0.1:{port}", f"localhost:{port}"], more)
    config = uvicorn.Config(
        app, log_level="error", lifespan="off", ws="none", proxy_headers=False, timeout_graceful_shutdown=2
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            for session in studio.sessions.values():
                session.end()  # its stream of events would keep the server waiting
            super().handle_exit(sig, frame)

    Server(config).run(sockets=[listener])


# Pages and files


def _first(studio: Studio) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        """Send a browser to a window."""
        session = studio.session()
        asyncio.get_running_loop().call_later(0.2, studio.worker.start)  # the page comes first
        if session.sound is None and studio.path is not None:
            asyncio.get_running_loop().run_in_executor(None, _open_first, studio, session)
        return RedirectResponse(f"/{studio.token}/{session.id}/", 303)

    return show


def _open_first(studio: Studio, session: Session) -> None:
    try:
        if (sound := studio.opened()) and session.sound is None:
            session.show(sound)
    except Exception as error:
        session.problem = words(error)
        session.changed()


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        return answer(request, 404, f"there is no file {name}")
    package, kind = _ASSETS[name]
    return Response(files(package).joinpath("assets", name).read_bytes(), media_type=kind)


def _in_window(studio: Studio, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that finds the window and turns errors into answers."""

    async def handle(request: Request) -> Response:
        name = request.path_params["window"]
        if name not in studio.sessions:
            return answer(request, 404, f"there is no window {name}", "the server was started anew: open its address")
        try:
            return await handler(request, studio.sessions[name])
        except KeyError as error:
            return answer(request, 404, f"there is no {error.args[0]!r}", "load the page again")
        except OutsideError as error:
            return answer(request, 403, error.message, error.hint)
        except TooLargeError as error:
            return answer(request, 413, error.message, error.hint)
        except VampError as error:
            return answer(request, 422, error.message, error.hint)
        except OSError as error:
            failure = from_os_error(error)
            return answer(request, 507, failure.message, failure.hint)
        except ClientDisconnect:
            return Response(status_code=400)

    return handle
