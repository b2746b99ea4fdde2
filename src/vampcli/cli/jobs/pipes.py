"""`-`: sound from stdin and to stdout, through files in a temporary folder."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vampcli.cli.console import drop_stdout
from vampcli.cli.options import Common
from vampcli.errors import InputError, UsageError, VampError

PIPE = "-"
_READER_GONE = 141  # 128 + SIGPIPE, the exit code that shells report


@dataclass(frozen=True)
class Pipes:
    """The files that stand for stdin and stdout: libsndfile must seek, and stdout gets complete files only.

    Attributes:
        source: stands for stdin, empty until `read_stdin`; None if `-` is not among the inputs.
        target: stands for stdout; None if the results go to files.
    """

    source: Path | None = None
    target: Path | None = None

    def inputs(self, inputs: Sequence[str]) -> list[str]:
        """Replace `-` by the file that stands for it; in a list `-` is a file of that name, as is `./-`."""
        return [str(self.source) if text == PIPE else text for text in inputs]

    def label(self, path: Path) -> str:
        """Name a recording in messages and facts."""
        return PIPE if path == self.source else str(path)

    def name_source(self, path: Path) -> Path:
        """Return the path that outputs are named after: `stdin` in the current folder."""
        return Path(path.name) if path == self.source else path

    def rename_stdin(self, error: VampError, path: Path) -> VampError:
        """Return an error that names stdin instead of its file."""
        if path != self.source:
            return error
        return type(error)(error.message.replace(str(path), f"{PIPE} (sound on stdin)"), error.hint)

    def read_stdin(self, path: Path) -> None:
        """Read stdin to its end, if the path stands for it.

        Raises:
            InputError: it is empty, or too long for the temporary folder.
        """
        if path != self.source:
            return
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"cannot copy stdin to a temporary file: {why}", "TMPDIR names another folder") from error
        if path.stat().st_size == 0:
            raise InputError("nothing comes in on stdin", "has the command before the pipe failed?")

    def write_stdout(self, path: Path) -> None:
        """Copy a finished file to stdout; exit without a message if the reader has closed it.

        Raises:
            InputError: stdout is full.
        """
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except OSError as error:
            drop_stdout()
            if isinstance(error, BrokenPipeError):
                raise SystemExit(_READER_GONE) from None
            raise InputError(f"cannot write to stdout: {error.strerror}", "is the disk full?") from error


@contextmanager
def pipes(inputs: Sequence[str], common: Common, sounds: bool = True) -> Iterator[Pipes]:
    """Make the files for stdin and stdout, and remove them at the end.

    Without `-o`, the result of `-` goes to stdout.

    Args:
        inputs: of the command.
        common: options of the outputs.
        sounds: the results are sound.

    Raises:
        InputError: stdin or stdout is closed, stdin is a terminal, or there is no room for temporary files.
        UsageError: stdin is named twice, or stdout is a terminal, holds JSON or would get something else than sound.
    """
    reads = PIPE in inputs
    writes = common.out == PIPE or (reads and common.out is None and sounds)
    if inputs.count(PIPE) > 1:
        raise UsageError(f"{PIPE} is named {inputs.count(PIPE)} times", "stdin is read once; leave the others out")
    if writes and not sounds:
        raise UsageError("no sound comes of this for stdout", "name a file with -o, or leave -o out")
    if not (reads or writes):
        yield Pipes()
        return
    if reads and (sys.stdin is None or sys.stdin.isatty()):
        why = "closed" if sys.stdin is None else "a terminal"
        raise InputError(f"no sound comes in on stdin: it is {why}", "pipe some: sox song.flac -t wav - | vamp ...")
    if writes:
        _check_stdout(common)
    try:
        folder = tempfile.TemporaryDirectory(prefix="vamp-")
    except OSError as error:
        raise InputError(f"cannot make a temporary folder: {error}", "TMPDIR names where") from error
    with folder as name:
        source = Path(name, "stdin")
        source.touch()
        yield Pipes(source if reads else None, Path(name, "stdout.wav") if writes else None)


def _check_stdout(common: Common) -> None:
    if common.as_json:
        raise UsageError("stdout cannot hold sound and --json", "name a file with -o, or leave --json out")
    if common.dry_run:
        return
    if sys.stdout is None:
        raise InputError("stdout is closed", "name a file with -o")
    if sys.stdout.isatty():
        raise UsageError(
            "vamp refuses to write sound to a terminal", "name a file with -o, or pipe it: vamp ... | play -"
        )
