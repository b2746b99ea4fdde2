"""What the page of a window asks for: its state, sound and takes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from vampcli.config import TempoConfig
from vampcli.errors import UsageError, VampError
from vampcli.ui.folder import list_recordings, resolve_below
from vampcli.ui.session import Session
from vampcli.ui.sounds import MOST_COLUMNS, Sound, check_range, window
from vampcli.ui.takes import history_facts
from vampcli.ui.uploads import read_json, save_upload
from vampcli.ui.views import peaks, samples, spectrogram

Handler = Callable[[Request, Session], Awaitable[Response]]

_PING_S = 10.0


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


async def _upload(request: Request, session: Session) -> Response:
    path = await save_upload(request, session.folder, request.query_params.get("name", ""))
    try:
        sound = await run_in_threadpool(Sound.open, path, path.name, session.root, True)
    except VampError as error:
        path.unlink(missing_ok=True)
        raise type(error)(error.message.replace(str(path), path.name), error.hint) from error
    session.show(sound)
    return JSONResponse(session.state(), 201)


async def _recordings(request: Request, session: Session) -> Response:
    found, more = await run_in_threadpool(list_recordings, session.root)
    shown = [one.encode(errors="replace").decode() for one in found]
    return JSONResponse({"folder": str(session.root.absolute()), "recordings": shown, "more": more})


async def _open(request: Request, session: Session) -> Response:
    typed = (await read_json(request)).get("path")
    if not isinstance(typed, str) or not typed.strip():
        raise UsageError("no path is named", "choose a recording of the list")

    def read() -> Sound:
        path = resolve_below(session.root, typed.strip())
        name = os.path.relpath(path, session.root.resolve())
        return Sound.open(Path(name) if session.root == Path() else path, name, path.parent, is_uploaded=False)

    session.show(await run_in_threadpool(read))
    return JSONResponse(session.state(), 201)


def _range(request: Request, n_samples: int) -> tuple[int, int]:
    start, end = (_integer(request.query_params[name]) for name in ("start", "end"))
    return check_range(start, end, n_samples)


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"no number of a sample or column: {error}") from error


async def _peaks(request: Request, session: Session) -> Response:
    def compute() -> bytes:
        sound, found = peaks(session, request.path_params["sound"])
        start, end = _range(request, sound.n_samples)
        n = max(1, min(_integer(request.query_params.get("columns", "1000")), MOST_COLUMNS, end - start))
        return found.columns(sound, start, end, n, session.opened().peaks.top).tobytes()

    return Response(await run_in_threadpool(compute), media_type="application/octet-stream")


async def _spectrogram(request: Request, session: Session) -> Response:
    def compute() -> bytes:
        sound_id = request.path_params["sound"]
        columns = _integer(request.query_params.get("columns", "600"))
        return spectrogram(session, sound_id, *_range(request, samples(session, sound_id).n_samples), columns)

    return Response(await run_in_threadpool(compute), media_type="image/png")


async def _audio(request: Request, session: Session) -> Response:
    def compute() -> bytes:
        sound = samples(session, request.path_params["sound"])
        return window(sound, *_range(request, sound.n_samples))

    return Response(await run_in_threadpool(compute), media_type="audio/flac")


async def _file(request: Request, session: Session) -> Response:
    take = session.takes[request.path_params["take"]]
    return FileResponse(take.made.path, filename=take.made.path.name)


async def _beats(request: Request, session: Session) -> Response:
    pulse = await run_in_threadpool(session.opened().source.recording.pulse, TempoConfig())
    return JSONResponse({"beats": pulse.beats_s, "bars": pulse.downbeats_s, "bpm": pulse.bpm})


async def _span(request: Request, session: Session) -> Response:
    """Parse a time of a span as it is typed: `bar:5`, `50%`, `4bars`."""
    content, sound = await read_json(request), session.opened()
    text, side, values = (content.get(name) for name in ("text", "side", "values"))
    start, end = content.get("start"), content.get("end")
    if not isinstance(text, str) or side not in ("start", "end") or not isinstance(values, dict):
        raise UsageError("the request lacks text, side or values", "load the page again")
    if not (isinstance(start, int | float) and isinstance(end, int | float)):
        raise UsageError("the request lacks start and end", "load the page again")
    start, end = await run_in_threadpool(session.orders.span_s, text, side, (start, end), values, sound.source)
    return JSONResponse({"start": start, "end": end})


# Takes


def _request_of(content: dict[str, Any]) -> tuple[str, dict[str, Any], list[str]]:
    verb, values, spans = (content.get(name) for name in ("verb", "values", "spans"))
    fits = isinstance(verb, str) and isinstance(values, dict) and isinstance(spans, list)
    if not fits or not all(isinstance(one, str) for one in spans or ()):
        raise UsageError("the request lacks verb, values or spans", "load the page again")
    return str(verb), dict(values or {}), list(spans or [])


async def _check(request: Request, session: Session) -> Response:
    request_of, source = _request_of(await read_json(request)), session.opened().source
    return JSONResponse({"command": await run_in_threadpool(session.orders.command, *request_of, source)})


async def _ask(request: Request, session: Session) -> Response:
    run = await run_in_threadpool(session.ask, *_request_of(await read_json(request)))
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
    name = (await read_json(request)).get("name")
    take = await run_in_threadpool(session.load, str(name))
    return JSONResponse(take.state(), 201)


WINDOW: list[tuple[str, Handler, str]] = [
    ("", _page, "GET"),
    ("events", _events, "GET"),
    ("state", _state, "GET"),
    ("schema", _schema, "GET"),
    ("sound", _upload, "PUT"),
    ("recordings", _recordings, "GET"),
    ("open", _open, "POST"),
    ("span", _span, "POST"),
    ("peaks/{sound}", _peaks, "GET"),
    ("spectrogram/{sound}", _spectrogram, "GET"),
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
