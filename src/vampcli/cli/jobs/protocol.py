"""The lines of `vamp serve`: requests and answers, each a JSON object."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from vampcli.errors import UsageError, VampError
from vampcli.reading import parse_json
from vampcli.schema import Between, from_table, raising, shown

VERSION: Literal[1] = 1
MOST_LINE = 2**22
"""Bytes of a request."""

Id = str | int | None
"""Name of a request, which all its answers repeat."""

_MADE_SO = 'a request is one line, such as {"command": "inpaint", "inputs": ["song.wav"], "options": {"span": ["4-6"]}}'


@dataclass(frozen=True)
class Request:
    """A command line as a table.

    Attributes:
        command: its name.
        inputs: files, folders, patterns or @lists, as on the command line.
        options: values of options by their long names, as in `vamp.toml`.
        id: repeated in the answers; requests that are not done yet have different ones.
        version: of these lines.
    """

    command: Literal["inpaint", "outpaint", "loop", "vamp", "compress", "replay"]
    inputs: Annotated[tuple[str, ...], Between(1, 1_000_000)]
    options: dict[str, Any] = field(default_factory=dict)
    id: Id = None
    version: Literal[1] = VERSION


@dataclass(frozen=True)
class Cancel:
    """Ends a request that waits, or that runs: after its current step. Its last line has the exit code 130.

    Attributes:
        cancel: the `id` of the request.
        version: of these lines.
    """

    cancel: str | int
    version: Literal[1] = VERSION


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The first line: the model is loaded.

    Attributes:
        event: kind of the line.
        version: of these lines.
        vamp: version of vamp.
        model: name or folder of the model that is loaded.
    """

    event: Literal["ready"] = "ready"
    version: Literal[1] = VERSION
    vamp: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Steps of a recording, ten lines a second at most.

    Attributes:
        event: kind of the line.
        id: of the request.
        title: name of the recording; of several, `all files` counts those that are done.
        step: steps that are done.
        total: steps in all.
    """

    event: Literal["progress"] = "progress"
    id: Id
    title: str
    step: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """Words for people, which the command writes to stderr.

    Attributes:
        event: kind of the line.
        id: of the request.
        text: the words.
    """

    event: Literal["note"] = "note"
    id: Id
    text: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong with a request, or with one of its recordings.

    Attributes:
        event: kind of the line.
        id: of the request; null if the line holds none.
        error: the fact.
        hint: the cure; may be empty.
        exit_code: of the command.
        input: the recording, if one of several failed.
    """

    event: Literal["error"] = "error"
    id: Id
    error: str
    hint: str
    exit_code: int
    input: str | None = None


@dataclass(frozen=True, kw_only=True)
class Done:
    """The last line of every request.

    Attributes:
        event: kind of the line.
        id: of the request.
        exit_code: of the command: 0 is success, 130 cancelled.
    """

    event: Literal["done"] = "done"
    id: Id
    exit_code: int


@dataclass(frozen=True)
class Refused:
    """A line that is no request.

    Attributes:
        id: as far as it can be read.
        error: why it is refused.
    """

    id: Id
    error: VampError


def read_request(line: bytes) -> Request | Cancel | Refused:
    """Read a line; what does not fit is refused, with the fact and the cure."""
    table: Any = None
    try:
        if len(line) > MOST_LINE:
            raise UsageError(f"the request has more than {MOST_LINE} bytes", "name inputs by a folder, or in @list.txt")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"the request is not UTF-8: see byte {error.start + 1}", "send UTF-8") from error
        table = parse_json(text, "the request", UsageError, _MADE_SO)
        if not isinstance(table, dict):
            raise UsageError(f"the request is {shown(table)}", _MADE_SO)
        if table.get("version", VERSION) != VERSION:
            found = shown(table["version"])
            raise UsageError(f"the request is of version {found}", f"this vamp speaks version {VERSION}")
        with raising(UsageError, _MADE_SO):
            if "cancel" in table:
                return from_table(Cancel, table, "the request")
            return from_table(Request, table, "the request")
    except UsageError as error:
        named = table.get("id") if isinstance(table, dict) else None
        return Refused(named if type(named) in (str, int) else None, error)


def split_lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Yield lines that are not blank, without their ends; of one that is too long, its beginning.

    Args:
        read: returns the next bytes; none at the end.
    """
    rest = b""
    is_cut = False  # the beginning of the line has been yielded
    while chunk := read():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip() and not is_cut:
                yield line
            is_cut = False
        if len(rest) > MOST_LINE:
            if not is_cut:
                yield rest
            rest, is_cut = b"", True
    if rest.strip() and not is_cut:
        yield rest


def read_stdin(descriptor: int) -> Callable[[], bytes]:
    """Return a function for `split_lines`; it holds no lock of Python, so that the program can end meanwhile."""
    return lambda: os.read(descriptor, 2**16)
