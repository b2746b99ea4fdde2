"""Errors, notes and progress on stderr; results on stdout."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ParamSpec, TypeVar

from vampcli.errors import DeviceError, ExitCode, VampError

P = ParamSpec("P")
R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Called with steps done and steps in all."""
Bar = Callable[[str], AbstractContextManager[Progress | None]]
"""Opens a progress bar with a title."""


class Console:
    """Prints notes on stderr and results on stdout."""

    _drawn: Any = None  # rich's progress display, while it is open

    def __init__(self, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
        logging.getLogger("vampcli").setLevel(level)
        if not verbose:  # library warnings do not help users
            warnings.simplefilter("ignore")

    def note(self, text: str) -> None:
        """Print a line on stderr, unless quiet."""
        if not self.quiet:
            sys.stderr.write(text + "\n")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table on stderr, unless quiet."""
        if self.quiet:
            return
        from rich.console import Console as RichConsole
        from rich.table import Table

        shown = Table(*heads, box=None)
        for row in rows:
            shown.add_row(*row)
        width = None if sys.stderr.isatty() else 10_000  # a file has no edge to wrap at
        RichConsole(stderr=True, markup=False, width=width).print(shown)

    def result(self, value: str | dict[str, Any]) -> None:
        """Print a path or a JSON object on stdout, at once.

        A closed or full stdout does not stop the command, whose files matter more.
        """
        if sys.stdout is None:  # closed by the parent process
            return
        line = (value if isinstance(value, str) else json.dumps(value)) + "\n"
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
        from rich.progress import Progress as RichProgress

        # Results go to the real stdout, not to the console of rich.
        with RichProgress(console=RichConsole(stderr=True), transient=True, redirect_stdout=False) as drawn:

            @contextmanager
            def bar(title: str) -> Iterator[Progress | None]:
                task = drawn.add_task(escape(title))
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
    sys.stderr.write(f"vamp: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"      {error.hint}\n")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of a command into messages and exit codes."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except VampError as error:
            report(error)
            raise SystemExit(int(error.exit_code)) from error
        except KeyboardInterrupt:
            sys.stderr.write("\nvamp: interrupted\n")
            raise SystemExit(int(ExitCode.INTERRUPTED)) from None
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            report(DeviceError("out of memory", "close other programs, name shorter spans, or use --device cpu"))
            raise SystemExit(int(ExitCode.DEVICE)) from error

    return run


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate" in str(error)
