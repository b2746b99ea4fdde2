"""Errors, notes and progress on stderr; results on stdout."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import shutil
import signal
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar

from vampcli.errors import DeviceError, ExitCode, VampError, from_os_error

P = ParamSpec("P")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""
Bar = Callable[[str], AbstractContextManager[Progress | None]]
"""Opens a progress bar with a title."""


_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)  # all but tab and line feed
_INDENT = "    "
SIGNALLED = 128  # added to the number of a signal, as shells do


def printable(text: str) -> str:
    """Return a text with its control characters escaped: those in names and files must not steer a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _ToStderr(logging.Handler):
    """Prints messages on the present stderr, which is another one while progress bars are drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(printable(self.format(record)) + "\n")


class Terminated(KeyboardInterrupt):
    """A signal other than that of Ctrl-C that ends the command."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def end_orderly() -> None:
    """Let SIGTERM and SIGHUP end the command like Ctrl-C, which removes temporary files."""

    def end(signal_number: int, _frame: object) -> None:
        raise Terminated(signal_number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows lacks SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # `nohup` ignores it
            signal.signal(number, end)


class Console:
    """Prints notes on stderr and results on stdout."""

    _drawn: Any = None  # rich's progress display, while it is open

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
        logging.basicConfig(level=logging.WARNING, handlers=[_ToStderr()], format="%(message)s", force=True)
        logging.getLogger("vampcli").setLevel(level)
        if not verbose:  # library warnings do not help users
            warnings.simplefilter("ignore")

    def note(self, text: str) -> None:
        """Print a line on stderr, unless quiet."""
        if not self.quiet:
            sys.stderr.write(printable(text) + "\n")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table on stderr, unless quiet."""
        if self.quiet:
            return
        from rich.console import Console as RichConsole
        from rich.table import Table

        shown = Table(*heads, box=None)
        for row in rows:
            shown.add_row(*map(printable, row))
        width = None if sys.stderr.isatty() else 10_000  # a file has no edge to wrap at
        RichConsole(stderr=True, markup=False, width=width).print(shown)

    def columns(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows on stdout: aligned and within the width of a terminal, else with a tab between cells.

        Args:
            heads: of the columns; printed on a terminal if there are any.
            rows: of cells. Those that do not fit on a line go to the next one, indented.
        """
        if not (sys.stdout and sys.stdout.isatty()):
            for row in rows:
                self.result("\t".join(row))
            return
        rows = [heads, *rows] if heads else rows
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        room = shutil.get_terminal_size().columns
        n_fitting = max(1, sum(sum(widths[:n]) + 2 * (n - 1) <= room for n in range(1, len(widths) + 1)))
        for row in rows:
            cells = [text.ljust(width) for text, width in zip(row[:n_fitting], widths, strict=False)]
            self.result("  ".join(cells).rstrip())
            if rest := "  ".join(row[n_fitting:]):
                wrapped = textwrap.fill(rest, room - len(_INDENT), break_long_words=False, break_on_hyphens=False)
                self.result(textwrap.indent(wrapped, _INDENT))

    def result(self, value: str | dict[str, Any]) -> None:
        """Print a path or a JSON object on stdout, at once.

        A closed or full stdout does not stop the command, whose files matter more.
        """
        if sys.stdout is None:  # closed by the parent process
            return
        line = (value if isinstance(value, str) else json.dumps(value)) + "\n"
        if sys.stdout.isatty():  # programs get names as they are
            line = printable(line)
        try:
            content = line.encode(sys.stdout.encoding, "surrogateescape")  # names of files may be any bytes
        except UnicodeEncodeError:
            content = line.encode(sys.stdout.encoding, "backslashreplace")
        try:
            sys.stdout.flush()
            with self._bars_away():
                sys.stdout.buffer.write(content)
                sys.stdout.buffer.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.note(f"vamp: nothing more is printed: {error.strerror}")
            drop_stdout()

    @contextmanager
    def _bars_away(self) -> Iterator[None]:
        """Hide bars while results are printed on the same terminal."""
        drawn = self._drawn if sys.stdout.isatty() else None
        if drawn is None:
            yield
            return
        drawn.stop()
        try:
            yield
        finally:
            drawn.start()

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress | None]:
        """One progress bar; None where stderr is no terminal."""
        with self.bars() as bar, bar(title) as progress:
            yield progress

    @contextmanager
    def bars(self) -> Iterator[Bar]:
        """Several progress bars; each is None where stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield _no_bar
            return
        from rich.console import Console as RichConsole
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # Results go to the real stdout, not to the console of rich.
        with RichProgress(*columns, console=RichConsole(stderr=True), transient=True, redirect_stdout=False) as drawn:

            @contextmanager
            def bar(title: str) -> Iterator[Progress | None]:
                task = drawn.add_task(escape(printable(title)), total=None)
                try:
                    yield lambda step, total: drawn.update(task, completed=step, total=total)
                finally:
                    drawn.remove_task(task)

            self._drawn = drawn
            try:
                yield bar
            finally:
                self._drawn = None


@contextmanager
def _no_bar(_title: str) -> Iterator[Progress | None]:
    yield None


def drop_stdout() -> None:
    """Replace a broken stdout by the null device, so that Python does not fail at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(error: VampError) -> None:
    """Print the message and the hint of an error on stderr, a line each."""
    sys.stderr.write(printable(f"vamp: {error.message}\n"))
    if error.hint:
        sys.stderr.write(printable(f"      {error.hint}\n"))


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of a command into messages and exit codes."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except VampError as error:
            report(error)
            raise SystemExit(int(error.exit_code)) from error
        except KeyboardInterrupt as stop:
            raise _interrupted(stop) from None
        except BrokenPipeError:  # nobody reads stderr
            raise SystemExit(SIGNALLED + signal.SIGPIPE) from None
        except (OSError, MemoryError, RuntimeError) as error:
            failure = curable(error)
            if failure is None:
                raise
            report(failure)
            raise SystemExit(int(failure.exit_code)) from error

    return run


def curable(error: Exception) -> VampError | None:
    """Return an error of the system or of memory as one with a cure and an exit code; None: it is a defect."""
    if isinstance(error, VampError):
        return error
    if isinstance(error, OSError):
        return from_os_error(error)
    if isinstance(error, MemoryError | RuntimeError) and _out_of_memory(error):
        return DeviceError("out of memory", "close other programs, name shorter spans, or use --device cpu")
    return None


def _interrupted(stop: KeyboardInterrupt) -> SystemExit:
    """Report an interruption, and return the exit that ends the command."""
    if isinstance(stop, Terminated):
        sys.stderr.write(f"\nvamp: ended by {signal.Signals(stop.signal_number).name}\n")
        return SystemExit(SIGNALLED + stop.signal_number)
    sys.stderr.write("\nvamp: interrupted\n")
    return SystemExit(int(ExitCode.INTERRUPTED))


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate" in str(error)
