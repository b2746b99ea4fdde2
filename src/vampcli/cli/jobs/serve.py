"""Carry out requests one after another in one process, so that models stay loaded."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import typer

from vampcli import __version__
from vampcli.cli.commands.compress import compress
from vampcli.cli.commands.inpaint import inpaint
from vampcli.cli.commands.loop import loop
from vampcli.cli.commands.outpaint import outpaint
from vampcli.cli.commands.replay import replay
from vampcli.cli.commands.vamp import vamp
from vampcli.cli.config import Options, options_of, read_table
from vampcli.cli.console import Bar, Console, curable
from vampcli.cli.jobs.job import ModelRequest
from vampcli.cli.jobs.models import Models
from vampcli.cli.jobs.parser import Parser
from vampcli.cli.jobs.pipes import PIPE
from vampcli.cli.jobs.protocol import (
    Cancel,
    Done,
    Failure,
    Id,
    Note,
    Progress,
    Ready,
    Refused,
    Request,
    read_request,
    split_lines,
)
from vampcli.cli.jobs.run import run
from vampcli.errors import ExitCode, UsageError, VampError

log = logging.getLogger(__name__)

COMMANDS = (inpaint, outpaint, loop, vamp, compress, replay)
"""Of requests."""

OWN = ("json", "quiet", "verbose")  # the answers are JSON, whatever the options say
"""Options that requests have not."""

_LEAST_S = 0.1  # between two lines of progress

Emit = Callable[[dict[str, Any]], None]
"""Write a line of JSON."""


@dataclass(frozen=True)
class _Waiting:
    """A line in the queue; the event tells a request to end."""

    line: Request | Refused
    cancelled: Event = field(default_factory=Event)


class Server:
    """Answers requests in the order in which they come.

    Attributes:
        model: of requests that name none.
    """

    def __init__(self, model: ModelRequest, emit: Emit) -> None:
        self.model, self._models, lock = model, Models(), Lock()
        self._parser = Parser(COMMANDS)
        self._waiting: list[_Waiting] = []
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()

        def one_by_one(line: dict[str, Any]) -> None:
            with lock:
                emit(line)

        self._emit = one_by_one

    def serve(self, read: Callable[[], bytes]) -> None:
        """Load the model, then answer until the end of the input; what came before it is carried out.

        Args:
            read: returns the next bytes of the input; none at the end.
        """
        self._models.metadata(self.model)
        self._models.load(self.model)
        gc.freeze()  # the model and the modules stay: no collection needs to look at them
        self._emit(asdict(Ready(vamp=__version__, model=self.model.name)))
        Thread(target=self._listen, args=(read,), name="requests", daemon=True).start()
        while waiting := self._queue.get():
            code = self._answer(waiting)
            gc.collect()  # recordings refer to themselves: else they would lie beside those of the next request
            self._waiting.remove(waiting)  # first: who reads the last line may use the id again
            self._emit(asdict(Done(id=waiting.line.id, exit_code=int(code))))

    def _listen(self, read: Callable[[], bytes]) -> None:
        """Queue requests, and cancel those that wait or run."""
        try:
            for line in split_lines(read):
                found = read_request(line)
                if isinstance(found, Cancel):
                    known = self._find(found.cancel)
                    if known:
                        known.cancelled.set()
                        continue
                    error = UsageError(f"no request with the id {found.cancel!r} waits or runs", "is it done already?")
                    found = Refused(None, error)
                elif isinstance(found, Request) and found.id is not None and self._find(found.id):
                    error = UsageError(f"the id {found.id!r} is that of a request that is not done", "choose another")
                    found = Refused(found.id, error)
                waiting = _Waiting(found)
                self._waiting.append(waiting)
                self._queue.put(waiting)
        finally:
            self._queue.put(None)

    def _find(self, id: Id) -> _Waiting | None:
        found = (one for one in tuple(self._waiting) if isinstance(one.line, Request) and one.line.id == id)
        return next(found, None)

    def _answer(self, waiting: _Waiting) -> ExitCode:
        """Carry out a request, and return the exit code that its command would have."""
        line = waiting.line
        answers = _Answers(line.id, self._emit, waiting.cancelled)
        try:
            if isinstance(line, Refused):
                raise line.error
            answers.check()
            run(self._parser.parse(self._words(line)), list(line.inputs), answers, self._models)
        except CancelledError:
            return ExitCode.INTERRUPTED
        except SystemExit as end:  # of several recordings, some failed; each has its line
            if not answers.failed:
                raise
            return ExitCode(int(end.code or 0))
        except Exception as error:  # the next request may be better
            failure = curable(error) or _defect(error)
            answers.fail(failure)
            return failure.exit_code
        return ExitCode.OK

    def _words(self, request: Request) -> list[str]:
        """Write a request as a command line.

        Raises:
            UsageError: an option is unknown or has a wrong type, or the sound is to come from stdin.
        """
        if PIPE in request.inputs:
            raise UsageError(f"the input is {PIPE}, but stdin holds requests", "write the sound to a file")
        command = self._parser.commands[request.command]
        known = {key: one for key, one in options_of(command).items() if key not in OWN}
        context = typer.Context(command, info_name=request.command)
        options = {**self._defaults(request), **request.options}
        read_table(context, known, options, "the request [options]")
        return [request.command, *_typed(options, known), "--json", "--", *request.inputs]

    def _defaults(self, request: Request) -> dict[str, Any]:
        """The model and the device of the server; recipes name their own model."""
        model = self.model
        found: dict[str, Any] = {"device": model.device, "dtype": model.dtype}
        if request.command != "replay":
            found |= {"model": model.name, "exact": model.exact, "compile": model.compile}
        return found


class _Answers(Console):
    """Turns what a command prints into answers.

    Attributes:
        failed: errors that have a line.
    """

    def __init__(self, id: Id, emit: Emit, cancelled: Event) -> None:
        super().__init__()
        self._id, self._emit, self._cancelled = id, emit, cancelled
        self.failed: list[str] = []

    def check(self) -> None:
        """Raise CancelledError if the request was cancelled."""
        if self._cancelled.is_set():
            raise CancelledError

    def note(self, text: str) -> None:
        """See `Console.note`."""
        self._emit(asdict(Note(id=self._id, text=text)))

    def result(self, value: str | dict[str, Any]) -> None:
        """See `Console.result`."""
        assert isinstance(value, dict)  # by --json
        if "error" in value:
            self.failed.append(value["error"])
        event = "error" if "error" in value else "result"
        self._emit({"event": event, "id": self._id, **({"input": None} if event == "error" else {}), **value})

    def fail(self, error: VampError) -> None:
        """Answer with an error, unless that of the recording has a line already."""
        if not any(error.message.endswith(message) for message in self.failed):
            line = Failure(id=self._id, error=error.message, hint=error.hint, exit_code=int(error.exit_code))
            self._emit(asdict(line))

    @contextmanager
    def bars(self) -> Iterator[Bar]:
        """See `Console.bars`: steps become answers, and a cancelled request ends."""

        @contextmanager
        def bar(title: str) -> Iterator[Callable[[int, int], None]]:
            self.check()
            last_s = 0.0

            def show(step: int, total: int) -> None:
                nonlocal last_s
                self.check()
                if (now := time.monotonic()) - last_s >= _LEAST_S or step == total:
                    last_s = now
                    self._emit(asdict(Progress(id=self._id, title=title, step=step, total=total)))

            yield show

        yield bar


def _typed(options: Mapping[str, Any], known: Options) -> Iterator[str]:
    """Write options as words of a command line."""
    for name, value in options.items():
        key = name.replace("_", "-")
        if value is True:
            yield f"--{key}"
        elif value is False:
            yield from [one for one in known[key].parameter.secondary_opts if one.startswith("--")][:1]
        else:
            yield from (f"--{key}={one}" for one in (value if isinstance(value, list) else [value]))


def _defect(error: Exception) -> VampError:
    log.error("%s", error, exc_info=error)
    return VampError(f"{type(error).__name__}: {error}", "this is a mistake in vamp: stderr shows more")
