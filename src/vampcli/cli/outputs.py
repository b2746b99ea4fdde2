"""Where results go: names, templates, and what stands in their way, before any work."""

from __future__ import annotations

import os
import string
from pathlib import Path

from vampcli.audio import output_format
from vampcli.errors import InputError, UsageError

DEFAULT_NAME = "{stem}.{cmd}.{seed}.{ext}"
_FIELDS = ("stem", "cmd", "seed", "n", "model", "ext")


def output_paths(
    source: Path, out: str | None, name: str | None, command: str, model: str, seeds: list[int]
) -> list[Path]:
    """Name the file of every take.

    Args:
        source: the input; results go beside it unless `out` says otherwise.
        out: a file for one take; a folder if it exists as one, ends in a separator or has no suffix.
        name: template with {stem} {cmd} {seed} {n} {model} {ext}.
        command: {cmd}.
        model: {model}.
        seeds: one for each take.

    Raises:
        UsageError: one file for several takes, an unknown suffix or field, or two takes of one name.
    """
    folder = source.parent
    if out is not None:
        if not _names_folder(out):
            if name is not None:
                raise UsageError(f"-o {out} names a file, so --name has no use", "leave one of them out")
            if len(seeds) > 1:
                raise UsageError(
                    f"-o {out} names one file, but there are {len(seeds)} takes", "name a folder: -o takes/"
                )
            output_format(out, "PCM_16")
            return [Path(out)]
        folder = Path(out)
    paths = [folder / _filled(name or DEFAULT_NAME, source, command, model, s, i) for i, s in enumerate(seeds)]
    if len(set(paths)) < len(paths):
        raise UsageError(f"--name {name} gives several takes one name", "put {seed} or {n} into it")
    for path in paths:
        output_format(path, "PCM_16")
    return paths


def _names_folder(out: str) -> bool:
    ends = (os.sep, "/") if os.altsep is None else (os.sep, os.altsep)
    return os.path.isdir(out) or out.endswith(ends) or not Path(out).suffix


def _filled(template: str, source: Path, command: str, model: str, seed: int, index: int) -> str:
    values = {
        "stem": source.stem,
        "cmd": command,
        "seed": seed,
        "n": index + 1,
        "model": Path(model).name,
        "ext": "wav",
    }
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        unknown = [field for field in fields if field not in _FIELDS]
        if unknown:
            raise UsageError(f"--name has an unknown field {{{unknown[0]}}}", f"known: {{{'} {'.join(_FIELDS)}}}")
        return template.format(**values)
    except (ValueError, IndexError) as error:
        raise UsageError(f"--name {template!r} is no template: {error}") from error


def check_outputs(paths: list[Path], source: Path, overwrite: bool, make_folders: bool = True) -> None:
    """Find what stands in the way of writing, and make the folder.

    Raises:
        InputError: an output is the input, exists already, or its folder is not writable.
    """
    for path in paths:
        if path.exists() and path.samefile(source):
            raise InputError(f"{path} is the input", "vamp never writes onto an input; name another file")
        if path.is_dir():
            raise InputError(f"{path} is a folder", "name a file, or end the folder's name with /")
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists", "--overwrite replaces it, --seed or --name gives another")
        try:
            if make_folders:
                path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {path.parent}: {error.strerror}", "name another") from error
        folder = next(parent for parent in path.parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"the folder {folder} is not writable", "name another one with -o")
