"""`vamp models pull` and `import`: published models made ready."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vampcli.cli.console import Console, guarded
from vampcli.errors import ExitCode, ModelError, UsageError

if TYPE_CHECKING:
    from vampcli.checkpoints.published import PublishedModel

log = logging.getLogger(__name__)

Dtype = Annotated[str, typer.Option(help="Precision to store: fp32, bf16 or fp16.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Errors only.")]


@guarded
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="vampnet, vampnet/opera, dac-44khz-8kbps: see `list`.")],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Accept the licence without being asked.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use what was fetched before; no network.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Fetch again, also files that have changed.")] = False,
    dtype: Dtype = "fp32",
    quiet: Quiet = False,
) -> None:
    """Fetch a published model once, and keep it under its name for -m.

    Files from Hugging Face go through its own cache: HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE hold.
    """
    from vampcli.checkpoints import install, registry
    from vampcli.checkpoints.published import find_published, published_models

    console = Console(quiet)
    _check_dtype(dtype)
    source, folder = find_published(name), registry.installed().get(name)
    if folder and not (source and update) and _is_whole(console, name, folder):
        console.note(f"{name} is here already{_changed(source, folder, offline, dtype)}")
        console.result(str(folder))
        return
    if source is None:
        known = ", ".join(source.name for source in published_models())
        raise ModelError(f"no published model named {name!r}", f"there are: {known}; any vampnet/NAME is tried")
    agree(console, f"{name}: {source.n_bytes / 1e9:.2f} GB from {source.address}\n{source.terms}", yes)
    with _progress(console, source) as progress:
        folder = install.pull(source, dtype, offline, update, progress)
    console.note(f"use it with -m {name}" if len(source.files) > 1 else f"{name} is a codec, to train models on")
    console.result(str(folder))


def _is_whole(console: Console, name: str, folder: Path) -> bool:
    from vampcli.checkpoints import install, listing

    try:
        listing.of_model(name, folder)
        install.compare(folder)
    except ModelError as error:
        console.note(error.message)
        return False
    return True


def _changed(source: PublishedModel | None, folder: Path, offline: bool, dtype: str) -> str:
    """Say what is not as asked for, or as its publisher has it now; nothing if nobody can be asked."""
    from vampcli.checkpoints import download, install
    from vampcli.checkpoints.origin import read_origin

    origin = read_origin(folder)
    if source is None or origin is None or not origin.address:
        return ""
    if origin.dtype != dtype:
        return f", in {origin.dtype}: --update --dtype {dtype} stores it anew"
    if offline or download.wants_offline():
        return ""
    try:
        changed = install.news(source, origin)
    except ModelError as error:
        log.info("%s", error.message)
        return ""
    if not changed:
        return ""
    return f"; {', '.join(changed)} changed since {origin.date[:10]}: --update takes what is there now"


@contextmanager
def _progress(console: Console, source: PublishedModel) -> Iterator[Callable[[int, int], None] | None]:
    """Our bar for plain files; Hugging Face draws its own, where ours would be drawn."""
    if source.repo:
        yield (lambda step, total: None) if sys.stderr.isatty() and not console.quiet else None
        return
    with console.progress(source.name) as bar:
        yield bar


def agree(console: Console, what: str, yes: bool) -> None:
    """Go on only if somebody agrees.

    Args:
        console: to talk through.
        what: will be done, in a sentence or two.
        yes: they have agreed on the command line.

    Raises:
        UsageError: nobody is there to be asked.
    """
    if yes:
        console.note(what)
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(what.replace("\n", "; "), "nobody can be asked without a terminal: -y agrees")
    sys.stderr.write(f"{what}\nGo on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        console.note("nothing was done")
        raise SystemExit(int(ExitCode.INTERRUPTED))


@guarded
def import_models(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER|FILES...",
            help="codec.pth, coarse.pth and c2f.pth, or the folder that holds them; or one file of DAC weights.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Model folder to write.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Keep it with your models, under this name.")] = None,
    dtype: Dtype = "fp32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make published files into a model; use it with -m."""
    from vampcli.checkpoints import install, registry
    from vampcli.checkpoints.origin import read_origin
    from vampcli.checkpoints.published import NAME

    console = Console(quiet)
    _check_dtype(dtype)
    if (out is None) == (name is None):
        raise UsageError("one of --name and -o is needed", "--name keeps it with your models, -o in a folder")
    if name is not None and not re.fullmatch(f"{NAME}(/{NAME})?", name):
        raise UsageError(
            f"{name!r} is no name", "letters, digits, dots and single dashes, such as opera or vampnet/opera"
        )
    there = registry.installed().get(str(name))
    if there is not None and not registry.is_own(there):
        raise UsageError(f"{name} comes with vamp", "keep yours under another name")
    folder = out or registry.folder_of(str(name))
    install.keep(install.parts_of(files), folder, dtype, overwrite)
    origin = read_origin(folder)
    assert origin is not None
    console.note(f"licence of the published weights: {origin.licence}")
    console.result(str(folder))


def _check_dtype(dtype: str) -> None:
    from vampcli.model.devices import DTYPES

    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype: {dtype!r}", f"use {', '.join(DTYPES)}")
