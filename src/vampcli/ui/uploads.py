"""Bodies of requests: uploads and JSON, none of them larger than is allowed."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from vampcli.errors import InputError, UsageError

MOST_BYTES = 2**29
"""Of an upload."""

_MOST_JSON = 2**20
_DROP_S, _IDLE_S = 30.0, 1.0  # for the rest of a body, and for its next part


class TooLargeError(InputError):
    """More bytes than are taken."""


async def read_body(request: Request, most: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body.

    Raises:
        TooLargeError: there are more bytes; if the request says so, before any is yielded. The rest is dropped first.
    """
    hint = f"{most // 2**20} MB are taken at most; vamp ui FILE opens a file of any size"
    stream = request.stream()
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > most:
        await _drop(request, stream)
        raise TooLargeError(f"{int(stated) / 2**20 if stated.isdecimal() else 0:.0f} MB are sent", hint)
    n = 0
    async for part in stream:
        n += len(part)
        if n > most:
            await _drop(request, stream)
            raise TooLargeError(f"more than {most // 2**20} MB are sent", hint)
        yield part


async def _drop(request: Request, stream: AsyncIterator[bytes]) -> None:
    """Read the rest of a body for a while: most clients read no answer before they have sent all."""
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # this one waits
    last_s = anyio.current_time() + _DROP_S
    with anyio.move_on_after(_IDLE_S) as scope, suppress(ClientDisconnect):
        async for _ in stream:
            scope.deadline = min(anyio.current_time() + _IDLE_S, last_s)


async def read_json(request: Request) -> dict[str, Any]:
    """Return the table in a body.

    Raises:
        TooLargeError: it is too large.
        UsageError: it is no JSON, or no table.
    """
    try:
        content = json.loads(b"".join([part async for part in read_body(request, _MOST_JSON)]))
    except ValueError as error:
        raise UsageError(f"the request is no JSON: {error}", "load the page again") from error
    if not isinstance(content, dict):
        raise UsageError("the request is no table", "load the page again")
    return content


def upload_name(name: str) -> str:
    """Return a name for the file of an upload, without folders."""
    name = PurePath(name.replace("\\", "/")).name
    stem = PurePath(name).stem[:100].lstrip(".") or "sound"
    return f"{stem}{PurePath(name).suffix[:10]}"


async def save_upload(request: Request, folder: Path, name: str) -> Path:
    """Write the body of a request to a new file, whose name ends as `name` does.

    Raises:
        TooLargeError: it is too large; nothing stays.
    """
    (folder := folder / f"upload-{secrets.token_hex(6)}").mkdir()
    path = folder / upload_name(name)
    try:
        with path.open("xb") as file:
            async for part in read_body(request, MOST_BYTES):
                await run_in_threadpool(file.write, part)
    except BaseException:
        path.unlink(missing_ok=True)
        folder.rmdir()
        raise
    return path
