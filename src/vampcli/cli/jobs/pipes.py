"""`-` and named pipes: sound from stdin and to stdout, through files in a temporary folder."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vampcli.cli.console import drop_stdout
from vampcli.cli.options import Common
from vampcli.errors import InputError, UsageError, VampError

PIPE = "-"
_NOT_FOLDERS = ("/dev/", "/proc/")  # where the shell names pipes: <(command)
_READER_GONE = 141  # 128 + SIGPIPE, the exit code that shells report


@dataclass(frozen=True)
class Pipes:
    """The files that stand for stdin, named pipes and stdout: pipes are read once, and stdout gets complete files only.

    Attributes:
        sources: files, empty until `fill`, and the pipes that they stand for, as typed; `-` is stdin.
        target: stands for stdout; None if the results go to files.
    """

    sources: Mapping[Path, str] = field(default_factory=dict)
    target: Path | None = None

    def inputs(self, inputs: Sequence[str]) -> list[str]:
        """Replace pipes by the files that stand for them; in a list `-` is a file of that name, as is `./-`."""
        files = {pipe: str(path) for path, pipe in self.sources.items()}
        return [files.get(text, text) for text in inputs]

    def label(self, path: Path) -> str:
        """Name a recording in messages and facts."""
        return self.sources.get(path, str(path))

    def name_source(self, path: Path) -> Path:
        """Return the path that outputs are named after: of stdin and `<(command)`, one in the current folder."""
        pipe = self.sources.get(path, "")
        return Path(path.name) if pipe == PIPE or pipe.startswith(_NOT_FOLDERS) else Path(pipe or path)

    def rename(self, error: VampError, path: Path) -> VampError:
        """Return an error that names the pipe instead of its file."""
        if path not in self.sources:
            return error
        pipe = self.sources[path]
        shown = f"{PIPE} (sound on stdin)" if pipe == PIPE else pipe
        return type(error)(error.message.replace(str(path), shown), error.hint)

    def fill(self, path: Path) -> None:
        """Read a pipe to its end, if the path stands for one.

        Raises:
            InputError: it is empty, or too long for the temporary folder.
        """
        if path not in self.sources:
            return
        pipe = self.sources[path]
        shown = "stdin" if pipe == PIPE else pipe
        try:
            with _opened(pipe) as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
        except OSError as error:
            why = error.strerror or error
            raise InputError(
                f"cannot copy {shown} to a temporary file: {why}", "TMPDIR names another folder"
            ) from error
        if path.stat().st_size == 0:
            raise InputError(f"nothing comes in on {shown}", "has the command before the pipe failed?")

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
    """Make the files for stdin, named pipes and stdout, and remove them at the end.

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
    named = [text for text in dict.fromkeys(inputs) if text == PIPE or _is_fifo(text)]
    if not (named or writes):
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
        yield Pipes(dict(_files_for(named, Path(name))), Path(name, "stdout.wav") if writes else None)


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Yield a path that can be opened more than once: that of a copy, if the path is a pipe.

    Raises:
        InputError: the pipe cannot be copied, or is empty.
    """
    if not _is_fifo(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="vamp-") as folder:
        copied = Pipes({Path(folder, path.name): str(path)})
        for copy in copied.sources:
            copied.fill(copy)
            yield copy


@contextmanager
def _opened(pipe: str) -> Iterator[BinaryIO]:
    if pipe == PIPE:
        yield sys.stdin.buffer
        return
    with Path(os.path.expanduser(pipe)).open("rb") as file:
        yield file


def _is_fifo(text: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(os.path.expanduser(text)).st_mode)
    except (OSError, ValueError):  # it is missing, or no file can have such a name
        return False


def _files_for(named: Sequence[str], folder: Path) -> Iterator[tuple[Path, str]]:
    """Make an empty file for each pipe, with its name if it has one of its own."""
    for i, pipe in enumerate(named):
        inner = folder / str(i)
        inner.mkdir()
        nameless = pipe.startswith(_NOT_FOLDERS)
        path = inner / ("stdin" if pipe == PIPE else f"pipe{i or ''}" if nameless else Path(pipe).name)
        path.touch()
        yield path, pipe


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
