"""Name outputs and check that they can be written, before any work."""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.audio.formats import FORMATS, TOKENS
from vampcli.cli.jobs.pipes import PIPE
from vampcli.errors import InputError, UsageError
from vampcli.files import exists

DEFAULT_NAME = "{stem}.{cmd}.{seed}.{ext}"


@dataclass(frozen=True)
class Naming:
    """Names of the results of one input.

    Attributes:
        source: the input; results lie beside it without `out`.
        out: a file for one take, or `-`; a folder if it is one, ends in a separator or has no suffix.
        template: of a path in the folder, with {stem} {parent} {cmd} {seed} {n} {model} {ext}.
        command: {cmd}.
        model: {model}.
        below: subfolder of the input in the folder that was searched, and of the results in `out`.
        several: there may be other inputs, so `out` must be a folder.
        piped: the file that stands for stdout, if `out` is `-`.
        ext: {ext}.
        full_stem: {stem} holds the suffix of the input, since another input differs in nothing else.
    """

    source: Path
    out: str | None
    template: str | None
    command: str
    model: str
    below: Path = Path()
    several: bool = False
    piped: Path | None = None
    ext: str = "wav"
    full_stem: bool = False

    @property
    def by_rank(self) -> bool:
        """True if the names of takes do not contain the seed."""
        return self.one_file is not None or "{seed}" not in (self.template or DEFAULT_NAME)

    @property
    def folder(self) -> Path:
        """Folder of the results, unless `out` is a file."""
        return self.source.parent if self.out is None else Path(os.path.expanduser(self.out)) / self.below

    def in_folder(self, result: Path) -> Path:
        """Return the path of a result relative to the folder."""
        is_inside = self.one_file is None and result.is_relative_to(self.folder)
        return result.relative_to(self.folder) if is_inside else Path(result.name)

    @property
    def one_file(self) -> Path | None:
        """File that `out` names; None if it is a folder.

        Raises:
            UsageError: there may be several inputs, or there is a template too.
        """
        if self.out is None or names_folder(out := os.path.expanduser(self.out)):
            return None
        if self.several:
            raise UsageError(f"-o {out} names one file, but there may be several inputs", "name a folder: -o made/")
        if self.template is not None:
            raise UsageError(f"-o {out} names a file, so --name has no use", "leave one of them out")
        return self.piped or Path(out)

    def paths(self, seeds: Sequence[int]) -> list[Path]:
        """Name the file of every take, by its seed.

        Raises:
            UsageError: one file for several takes or inputs, an unknown field, a name that leaves the folder,
                or two takes of one name.
        """
        if (file := self.one_file) is not None:
            if len(seeds) > 1:
                raise UsageError(
                    f"-o {self.out} names one file, but there are {len(seeds)} takes", "name a folder: -o takes/"
                )
            return [file]
        names = [Path(self._fill_template(seed, i)) for i, seed in enumerate(seeds)]
        if any(path.is_absolute() or ".." in path.parts for path in names):
            raise UsageError(f"--name {self.template} leaves the folder of the outputs", "name another folder with -o")
        if len(set(names)) < len(names):
            raise UsageError(f"--name {self.template} gives several takes one name", "put {seed} or {n} into it")
        return [self.folder / path for path in names]

    def _fill_template(self, seed: int, index: int) -> str:
        template = self.template or DEFAULT_NAME
        values: dict[str, str | int] = {
            "stem": self.source.name if self.full_stem else self.source.stem,
            "parent": self.source.absolute().parent.name,
            "cmd": self.command,
            "seed": seed,
            "n": index + 1,
            "model": Path(self.model).name,
            "ext": self.ext,
        }
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as error:
            raise UsageError(f"--name {template!r} is no template: {error}", "such as {stem}.{seed}.wav") from error
        name = ""
        for text, field, specification, conversion in parts:
            if field is not None and field not in values:
                known = " ".join(f"{{{one}}}" for one in values)
                raise UsageError(f"--name has an unknown field {{{field}}}", f"known: {known}")
            if specification or conversion:
                more = f"!{conversion}" if conversion else f":{specification}"
                raise UsageError(f"--name has {more} in the field {{{field}}}", f"write {{{field}}}, without a format")
            name += text + str("" if field is None else values[field])
        return name


def names_folder(out: str) -> bool:
    """Say whether a path means a folder: it is one, ends in a separator or has no suffix."""
    name = os.path.basename(out)
    if out == PIPE:
        return False
    if name in (*FORMATS, TOKENS):
        raise UsageError(f"-o {out} names no file", "name a file with a suffix such as .wav, or a folder")
    ends = (os.sep, "/") if os.altsep is None else (os.sep, os.altsep)
    return os.path.isdir(out) or out.endswith(ends) or name in (".", "..") or not Path(out).suffix


def check_outputs(paths: list[Path], source: Path, overwrite: bool) -> None:
    """Check that outputs can be written, without creating anything.

    Raises:
        InputError: an output is the input, exists already, has an impossible name, or its folder is not writable.
    """
    for path in paths:
        try:
            is_taken, is_input = exists(path), path.exists() and path.samefile(source)
            folder = next(parent for parent in Path(os.path.abspath(path)).parents if parent.exists())
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}", "give another name") from error
        if is_input:
            raise InputError(f"{path} is the input", "vamp never writes onto an input; name another file")
        if path.is_dir():
            raise InputError(f"{path} is a folder", "name a file, or end the folder's name with /")
        if is_taken and not overwrite:
            raise InputError(f"{path} exists", "--overwrite replaces it, --seed or --name gives another")
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"the folder {folder} is not writable", "name another one with -o")


def make_folder(path: Path) -> None:
    """Make the folder of a file that will be written.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path.parent}: {error.strerror}", "name another with -o") from error
