"""The server of the editor: routes, uploads, events."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from vampcli.errors import InputError, UsageError, VampError, from_os_error
from vampcli.ui.guard import Guard, answer
from vampcli.ui.order import Orders
from vampcli.ui.session import Session, history_facts, peaks, samples
from vampcli.ui.sounds import MOST_COLUMNS, Sound, check_range, window
from vampcli.ui.worker import Worker, words

MOST_BYTES = 2**29
"""Of an upload."""

_MOST_JSON = 2**20
_PING_S = 10.0
_ASSETS = {
    "ui.js": ("vampcli.ui", "text/javascript"),
    "wave.js": ("vampcli.ui", "text/javascript"),
    "ui.css": ("vampcli.ui", "text/css"),
    "player.js": ("vampcli.page", "text/javascript"),
    "page.css": ("vampcli.page", "text/css"),
}


class TooLargeError(InputError):
    """More bytes than are taken."""


@dataclass
class Studio:
    """What all windows share.

    Attributes:
        orders: makes orders.
        folder: of takes and uploads, until the server ends.
        path: of the recording that new windows show; None = they are empty.
        keep_in: folder in which takes of uploads are kept.
        worker: makes the takes.
        token: first part of every path.
    """

    orders: Orders
    folder: Path
    path: Path | None = None
    keep_in: Path = Path()
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
        self.sessions[name] = session = Session(name, folder, self.orders, self.worker)
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


Handler = Callable[[Request, Session], Awaitable[Response]]


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
    for path, handler, method in _WINDOW:
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


async def _page(request: Request, session: Session) -> Response:
    session.claim()
    return Response(files("vampcli.ui").joinpath("assets", "ui.html").read_bytes(), media_type="text/html")


async def _events(request: Request, session: Session) -> Response:
    async def events() -> AsyncIterator[str]:
        with session.listening() as event:
            while not session.has_ended:
                event.clear()
                yield f"data: {json.dumps(session.state())}\n\n"
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(event.wait(), _PING_S)
                await asyncio.sleep(0.05)  # several changes become one event

    return StreamingResponse(events(), media_type="text/event-stream")


async def _state(request: Request, session: Session) -> Response:
    return JSONResponse(session.state())


async def _schema(request: Request, session: Session) -> Response:
    schema = session.orders.schema()
    return JSONResponse({verb: [asdict(one) for one in options] for verb, options in schema.items()})


# Sound


async def read_body(request: Request, most: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body.

    Raises:
        TooLargeError: there are more bytes; if the request says so, before any is read.
    """
    hint = f"{most // 2**20} MB are taken at most; vamp ui FILE opens a file of any size"
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > most:
        raise TooLargeError(f"{int(stated) / 2**20 if stated.isdecimal() else 0:.0f} MB are sent", hint)
    n = 0
    async for part in request.stream():
        n += len(part)
        if n > most:
            raise TooLargeError(f"more than {most // 2**20} MB are sent", hint)
        yield part


async def _json(request: Request) -> dict[str, Any]:
    try:
        content = json.loads(b"".join([part async for part in read_body(request, _MOST_JSON)]))
    except ValueError as error:
        raise UsageError(f"the request is no JSON: {error}", "load the page again") from error
    if not isinstance(content, dict):
        raise UsageError("the request is no table", "load the page again")
    return content


async def save_upload(request: Request, folder: Path, name: str) -> Path:
    """Write the body of a request to a new file, whose name ends as `name` does.

    Raises:
        TooLargeError: it is too large; nothing stays.
    """
    stem = PurePath(PurePath(name.replace("\\", "/")).name).stem[:100].lstrip(".") or "sound"
    (folder := folder / f"upload-{secrets.token_hex(6)}").mkdir()
    path = folder / f"{stem}{PurePath(name).suffix[:10]}"
    try:
        with path.open("xb") as file:
            async for part in read_body(request, MOST_BYTES):
                await run_in_threadpool(file.write, part)
    except BaseException:
        path.unlink(missing_ok=True)
        folder.rmdir()
        raise
    return path


def _upload(studio_keep_in: Path) -> Handler:
    async def upload(request: Request, session: Session) -> Response:
        path = await save_upload(request, session.folder, request.query_params.get("name", ""))
        try:
            sound = await run_in_threadpool(Sound.open, path, path.name, studio_keep_in, True)
        except VampError as error:
            path.unlink(missing_ok=True)
            raise type(error)(error.message.replace(str(path), path.name), error.hint) from error
        session.show(sound)
        return JSONResponse(session.state(), 201)

    return upload


def _range(request: Request, n_samples: int) -> tuple[int, int]:
    try:
        start, end = (int(request.query_params[name]) for name in ("start", "end"))
    except ValueError as error:
        raise UsageError(f"no number of a sample: {error}") from error
    return check_range(start, end, n_samples)


async def _peaks(request: Request, session: Session) -> Response:
    def compute() -> bytes:
        sound, found = peaks(session, request.path_params["sound"])
        start, end = _range(request, sound.n_samples)
        n = min(int(request.query_params.get("columns", "1000")), MOST_COLUMNS, end - start)
        return found.columns(sound, start, end, n, session.opened().peaks.top).tobytes()

    return Response(await run_in_threadpool(compute), media_type="application/octet-stream")


async def _audio(request: Request, session: Session) -> Response:
    def compute() -> bytes:
        sound = samples(session, request.path_params["sound"])
        return window(sound, *_range(request, sound.n_samples))

    return Response(await run_in_threadpool(compute), media_type="audio/flac")


async def _file(request: Request, session: Session) -> Response:
    take = session.takes[request.path_params["take"]]
    return FileResponse(take.made.path, filename=take.made.path.name)


async def _beats(request: Request, session: Session) -> Response:
    from vampcli.config import TempoConfig

    pulse = await run_in_threadpool(session.opened().source.recording.pulse, TempoConfig())
    return JSONResponse({"beats": pulse.beats_s, "bars": pulse.downbeats_s, "bpm": pulse.bpm})


# Takes


def _request_of(content: dict[str, Any]) -> tuple[str, dict[str, Any], list[str]]:
    verb, values, spans = (content.get(name) for name in ("verb", "values", "spans"))
    fits = isinstance(verb, str) and isinstance(values, dict) and isinstance(spans, list)
    if not fits or not all(isinstance(one, str) for one in spans or ()):
        raise UsageError("the request lacks verb, values or spans", "load the page again")
    return str(verb), dict(values or {}), list(spans or [])


async def _check(request: Request, session: Session) -> Response:
    request_of, source = _request_of(await _json(request)), session.opened().source
    return JSONResponse({"command": await run_in_threadpool(session.orders.command, *request_of, source)})


async def _ask(request: Request, session: Session) -> Response:
    run = await run_in_threadpool(session.ask, *_request_of(await _json(request)))
    return JSONResponse({"run": run.id, "command": run.order.command}, 202)


async def _cancel(request: Request, session: Session) -> Response:
    for run in session.runs:
        if run.id == request.path_params["run"]:
            run.cancel()
            return JSONResponse({"run": run.id})
    raise KeyError(request.path_params["run"])


async def _keep(request: Request, session: Session) -> Response:
    kept = await run_in_threadpool(session.keep, session.takes[request.path_params["take"]])
    return JSONResponse({"path": str(kept)}, 201)


async def _replay(request: Request, session: Session) -> Response:
    run = await run_in_threadpool(session.replay, session.takes[request.path_params["take"]])
    return JSONResponse({"run": run.id}, 202)


async def _history(request: Request, session: Session) -> Response:
    return JSONResponse(history_facts(await run_in_threadpool(session.history)))


async def _load(request: Request, session: Session) -> Response:
    name = (await _json(request)).get("name")
    take = await run_in_threadpool(session.load, str(name))
    return JSONResponse(take.state(), 201)


_WINDOW: list[tuple[str, Handler, str]] = [
    ("", _page, "GET"),
    ("events", _events, "GET"),
    ("state", _state, "GET"),
    ("schema", _schema, "GET"),
    ("sound", _upload(Path()), "PUT"),
    ("peaks/{sound}", _peaks, "GET"),
    ("audio/{sound}", _audio, "GET"),
    ("file/{take}", _file, "GET"),
    ("beats", _beats, "GET"),
    ("check", _check, "POST"),
    ("runs", _ask, "POST"),
    ("runs/{run}/cancel", _cancel, "POST"),
    ("takes/{take}/keep", _keep, "POST"),
    ("takes/{take}/replay", _replay, "POST"),
    ("history", _history, "GET"),
    ("history", _load, "POST"),
]
