"""`-`: sound from stdin and to stdout, by way of files in a folder that goes when all is done."""

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
_READER_GONE = 141  # 128 + SIGPIPE, as shells report whoever dies of it


@dataclass(frozen=True)
class Pipes:
    """The files that stand for stdin and stdout: libsndfile seeks, and what is written is whole or not there.

    Attributes:
        source: what `-` among the inputs is read from, empty until `take_in`; None if it is not among them.
        target: what is to be written for stdout; None if the results go to files.
    """

    source: Path | None = None
    target: Path | None = None

    def inputs(self, typed: Sequence[str]) -> list[str]:
        """The same with a file for `-`. Only here is it stdin: in a list it is a file of that name, as is `./-`."""
        return [str(self.source) if text == PIPE else text for text in typed]

    def name(self, path: Path) -> str:
        """What a recording is called."""
        return PIPE if path == self.source else str(path)

    def template(self, path: Path) -> Path:
        """The path that outputs are named after: `stdin`, in the folder one is in."""
        return Path(path.name) if path == self.source else path

    def said(self, error: VampError, path: Path) -> VampError:
        """The same error, of stdin and not of its file."""
        if path != self.source:
            return error
        return type(error)(error.message.replace(str(path), f"{PIPE} (sound on stdin)"), error.hint)

    def take_in(self, path: Path) -> None:
        """Read stdin to its end, if that is what the path stands for.

        Raises:
            InputError: it is empty, or does not fit where temporary files lie.
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

    def give_out(self, path: Path) -> None:
        """Copy a finished file to stdout; end quietly when nobody reads on.

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
    """Find out whether stdin and stdout hold sound; their files are gone at the end, however it comes.

    What is made of `-` goes to stdout unless -o says otherwise.

    Args:
        inputs: as they were typed.
        common: says where results go.
        sounds: whether they are sound.

    Raises:
        InputError: stdin or stdout is closed, stdin is a terminal, or there is no room for temporary files.
        UsageError: stdin is named twice, or stdout is a terminal, holds JSON or would get what is no sound.
    """
    reads = PIPE in inputs
    writes = common.out == PIPE or (reads and common.out is None and sounds)
    if inputs.count(PIPE) > 1:
        raise UsageError(f"{PIPE} is named {inputs.count(PIPE)} times", "stdin is read once; leave the others out")
    if reads:
        _check_stdin()
    if writes and not sounds:
        raise UsageError("no sound comes of this for stdout", "name a file with -o, or leave -o out")
    if writes:
        _check_stdout(common)
    if not (reads or writes):
        yield Pipes()
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="vamp-")
    except OSError as error:
        raise InputError(f"cannot make a temporary folder: {error}", "TMPDIR names where") from error
    with folder as name:
        source = Path(name, "stdin")
        source.touch()
        yield Pipes(source if reads else None, Path(name, "stdout.wav") if writes else None)


def _check_stdin() -> None:
    if sys.stdin is None or sys.stdin.isatty():
        why = "closed" if sys.stdin is None else "a terminal"
        raise InputError(f"no sound comes in on stdin: it is {why}", "pipe some: sox song.flac -t wav - | vamp ...")


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
