"""The routes that HARP, a plug-in for DAWs, asks: upload, controls, process, cancel, files.

Files and processes are known by names that cannot be guessed, so the routes need no token; `Guard` checks where a
request comes from.

Source: HARP 3.0.1 (`GradioClient.h`, `Model.h`, `Controls.h`), which talks as clients of Gradio do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from vampcli.audio.read import inspect
from vampcli.errors import InputError, UsageError, VampError
from vampcli.ui import uploads
from vampcli.ui.guard import answer
from vampcli.ui.harp_controls import description, parse_request
from vampcli.ui.order import Made, Order
from vampcli.ui.server import Studio
from vampcli.ui.sounds import Sound
from vampcli.ui.worker import Run, words

log = logging.getLogger(__name__)

PREFIX = "/gradio_api/"

_MOST_HELD = 16  # uploads and takes of each kind; the oldest are removed
_PING_S = 5.0
_CHUNK = 2**20


@dataclass
class Harp:
    """What HARP has sent and asked for.

    Attributes:
        studio: makes the takes.
        model: its name.
        sent: uploads by the paths that HARP knows.
        asked: processes that were asked for and not yet begun: name of the route and values.
        takes: files by the names of their processes.
        runs: in the queue of the worker.
        used: how many runs need an upload.
        n_cancels: how often everything was cancelled.
    """

    studio: Studio
    model: str
    sent: dict[str, Path] = field(default_factory=dict)
    asked: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)
    takes: dict[str, Path] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    n_cancels: int = 0

    @property
    def folder(self) -> Path:
        """Folder of uploads and takes."""
        return self.studio.folder / "harp"

    def routes(self) -> list[BaseRoute]:
        """Return the routes, for `create_app`."""
        return [
            Route(f"{PREFIX}upload", self._upload, methods=["POST"]),
            Route(f"{PREFIX}call/{{name}}", self._call, methods=["POST"]),
            Route(f"{PREFIX}call/{{name}}/{{event}}", self._events),
            Route(f"{PREFIX}file/{{event}}/{{name}}", self._file),
        ]

    # Files

    async def _upload(self, request: Request) -> Response:
        """Save the file of a form, and answer with the path that names it from now on."""
        try:
            form = await MultiPartParser(request.headers, _limited(request), max_files=1).parse()
        except MultiPartException as error:
            is_large = isinstance(error.__cause__, uploads.TooLargeError)
            log.warning("HARP: %s", error.message)
            return answer(request, 413 if is_large else 422, error.message)
        try:
            file = form.get("files")
            if file is None or isinstance(file, str):
                return answer(request, 422, "the form has no file", "send it as the field files")
            path = await run_in_threadpool(self._save, file.file, file.filename or "")
        finally:
            await form.close()
        name = f"{path.parent.name}/{path.name}"
        self.sent.pop(name, None)  # the latest are at the end
        self.sent[name] = path
        self._remove_old(self.sent)
        return JSONResponse([name])

    def _save(self, file: BinaryIO, name: str) -> Path:
        """Write an upload; the same file is kept once, so that its analysis is kept, too."""
        digest = hashlib.sha256()
        while part := file.read(_CHUNK):
            digest.update(part)
        path = self.folder / f"{digest.hexdigest()[:32]}" / uploads.upload_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.seek(0)
        with path.with_name(f"{secrets.token_hex(8)}.partial").open("xb") as target:
            shutil.copyfileobj(file, target, _CHUNK)
        Path(target.name).replace(path)
        return path

    def _remove_old(self, files: dict[str, Path]) -> None:
        for name in [name for name in files if not self.used[name]][:-_MOST_HELD]:
            (path := files.pop(name)).unlink(missing_ok=True)
            with suppress(OSError):  # the same sound has another name, too
                path.parent.rmdir()

    async def _file(self, request: Request) -> Response:
        path = self.takes.get(request.path_params["event"])
        if path is None or path.name != request.path_params["name"]:
            return answer(request, 404, "there is no such take", "process again")
        return FileResponse(path)

    # Processes

    async def _call(self, request: Request) -> Response:
        """Note what is asked for; it begins when its events are read."""
        name = request.path_params["name"]
        if name not in ("controls", "process", "cancel"):
            return answer(request, 404, f"there is no {name!r}", "known: controls, process, cancel")
        try:
            data = (await uploads.read_json(request)).get("data", [])
        except VampError as error:
            status = 413 if isinstance(error, uploads.TooLargeError) else 422
            return answer(request, status, error.message, error.hint)
        if not isinstance(data, list):
            return answer(request, 422, "the request has no list of data", 'send {"data": [...]}')
        self.studio.worker.start()
        if name == "cancel":
            self.n_cancels += 1
            for run in self.runs:
                run.cancel()
        event = secrets.token_hex(16)
        self.asked[event] = name, data
        while len(self.asked) > 64 * _MOST_HELD:
            self.asked.pop(next(iter(self.asked)))
        return JSONResponse({"event_id": event})

    async def _events(self, request: Request) -> Response:
        event = request.path_params["event"]
        name, data = self.asked.pop(event, ("", []))
        base = str(request.base_url)

        async def events() -> AsyncIterator[str]:
            try:
                if name != request.path_params["name"]:
                    raise InputError(f"there is no event {event:.40}", "process again: an event is told once")
                if name == "controls":
                    yield _event("complete", [description(self.model)])
                elif name == "cancel":
                    yield _event("complete", [])
                else:
                    async for one in self._process(event, data, base):
                        yield one
            except Exception as error:
                message, hint = words(error)
                log.warning("HARP: %s (%s)", message, hint)  # HARP does not show it
                yield _event("error", f"{message} ({hint})")

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _process(self, event: str, data: list[Any], base: str) -> AsyncIterator[str]:
        """Plan, queue and await a take; a client that goes away cancels it."""
        request = parse_request(data, self.studio.orders.schema())
        if request.track not in self.sent:
            raise InputError(f"there is no upload {request.track:.80}", "process again")
        path, made = self.sent[request.track], list[Made]()
        changed, loop, n_cancels = asyncio.Event(), asyncio.get_running_loop(), self.n_cancels

        def plan() -> Order:
            (folder := self.folder / event).mkdir()
            source = _opened(path).source
            return self.studio.orders.order(request.verb, request.values, request.spans, source, folder)

        self.used[request.track] += 1
        run = None
        try:
            planned = asyncio.ensure_future(run_in_threadpool(plan))
            async for ping in _pings(planned.done, lambda: asyncio.wait([planned], timeout=_PING_S)):
                yield ping
            run = Run(event, planned.result(), lambda _, one: made.append(one))
            run.on_change = lambda: _wake(loop, changed)
            self.runs.append(run)
            if n_cancels != self.n_cancels:  # while it was planned
                run.cancel()
            self.studio.worker.submit(run)
            async for ping in _pings(lambda: _is_over(run), lambda: _change(changed)):
                yield ping
        finally:
            self.used[request.track] -= 1
            if run and run in self.runs:
                self.runs.remove(run)
                run.cancel()
            if not made:
                shutil.rmtree(self.folder / event, ignore_errors=True)
        if run.error:
            raise InputError(*run.error)
        if not made:
            raise UsageError("the take was cancelled", "process again")
        self.takes[event] = made[0].path
        self._remove_old(self.takes)
        yield _event("complete", _outputs(run.order, made[0], f"{base}{PREFIX[1:]}file/{event}/"))


@lru_cache(maxsize=2)
def _opened(path: Path) -> Sound:
    """Read an upload; the last ones stay in memory, with their analysis.

    Raises:
        InputError: it is no sound.
    """
    try:
        return Sound.open(path, path.name, path.parent, is_uploaded=True)
    except VampError as error:
        raise InputError(error.message.replace(str(path), path.name), error.hint) from error


def _outputs(order: Order, made: Made, address: str) -> list[dict[str, Any]]:
    """Return a take, and labels of its generated spans."""
    rate = inspect(made.path).sample_rate
    labels = [
        {
            "label_type": "AudioLabel",
            "t": start / rate,
            "duration": (end - start) / rate,
            "label": f"{order.verb} {made.seed}",
            "description": order.command,
        }
        for start, end in order.spans
    ]
    url = address + quote(made.path.name)
    return [
        {"path": url, "url": url, "orig_name": made.path.name, "meta": {"_type": "gradio.FileData"}},
        {"meta": {"_type": "pyharp.LabelList"}, "labels": labels},
    ]


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a body; if there are too many, the parser closes its files."""
    try:
        async for part in uploads.read_body(request, uploads.MOST_BYTES):
            yield part
    except uploads.TooLargeError as error:
        raise MultiPartException(f"{error.message}: {error.hint}") from error


async def _pings(is_over: Callable[[], bool], wait: Callable[[], Awaitable[Any]]) -> AsyncIterator[str]:
    """Yield an event after each wait until something is over, so that the client does not give up."""
    while not is_over():
        await wait()
        yield _event("heartbeat", None)


async def _change(changed: asyncio.Event) -> None:
    changed.clear()
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(changed.wait(), _PING_S)


def _is_over(run: Run) -> bool:
    return run.state not in ("queued", "running")


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the server has ended
        loop.call_soon_threadsafe(event.set)


def _event(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
