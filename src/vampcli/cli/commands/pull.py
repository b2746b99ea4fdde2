"""`vamp models pull` and `import`: install published models."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from vampcli.cli import completion
from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded
from vampcli.errors import ExitCode, ModelError, UsageError

Yes = Annotated[bool, typer.Option("-y", "--yes", help="Agree without a question.")]
Dtype = Annotated[Literal["fp32", "bf16", "fp16"], o.value("Precision to store.", metavar=None)]


@guarded
def pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="vampnet, vampnet/opera, dac-44khz-8kbps: see `list`.",
            autocompletion=completion.published,
        ),
    ],
    yes: Yes = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use the cache only; no network.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Fetch again, and accept files that have changed.")] = False,
    dtype: Dtype = "fp32",
    quiet: o.Quiet = False,
) -> None:
    """Fetch a published model once, and keep it under its name for -m.

    Files from Hugging Face go through its cache: HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE hold.
    """
    from vampcli.checkpoints import install, registry
    from vampcli.checkpoints.origin import read_origin
    from vampcli.checkpoints.published import find_published, published_models

    console = Console(quiet)
    source, folder = find_published(name), registry.installed().get(name)
    if folder and not (source and update) and _is_whole(console, name, folder):
        stored = origin.dtype if (origin := read_origin(folder)) and origin.address else dtype
        console.note(f"{name} is here already" + (f", in {stored}: --update stores it in {dtype}" * (stored != dtype)))
        console.result(str(folder))
        return
    if source is None:
        known = ", ".join(source.name for source in published_models())
        raise ModelError(f"no published model named {name!r}", f"there are: {known}; any vampnet/NAME is tried")
    agree(console, f"{name}: {source.n_bytes / 1e9:.2f} GB from {source.address}\n{source.terms}", yes)
    folder = install.pull(source, dtype, offline, update, bars=sys.stderr.isatty() and not quiet)
    console.note(f"use it with -m {name}" if len(source.files) > 1 else f"{name} is a codec, to train models on")
    console.result(str(folder))


def _is_whole(console: Console, name: str, folder: Path) -> bool:
    from vampcli.checkpoints import install, listing

    try:
        listing.of_model(name, folder)
        install.check_hashes(folder)
    except ModelError as error:
        console.note(error.message)
        return False
    return True


def agree(console: Console, what: str, yes: bool) -> None:
    """Ask for agreement; exit without it.

    Args:
        console: prints notes.
        what: the action, in a sentence or two.
        yes: agreed on the command line.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if yes:
        console.note(what)
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(what.replace("\n", "; "), "without a terminal there is no question: -y agrees")
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
    out: Annotated[Path | None, o.value("Folder of the model.", "-o", "--out", metavar="FOLDER")] = None,
    name: Annotated[str | None, o.value("Name among the installed models.", "--as", metavar="NAME")] = None,
    dtype: Dtype = "fp32",
    overwrite: o.Overwrite = False,
    quiet: o.Quiet = False,
) -> None:
    """Convert published files to a model for -m."""
    from vampcli.checkpoints import install, registry
    from vampcli.checkpoints.origin import read_origin
    from vampcli.checkpoints.published import NAME

    console = Console(quiet)
    if (out is None) == (name is None):
        raise UsageError("one of --as and -o is needed", "--as NAME keeps it with the installed models, -o in a folder")
    if name is not None and not re.fullmatch(f"{NAME}(/{NAME})?", name):
        raise UsageError(
            f"{name!r} is no name", "letters, digits, dots and single dashes, such as opera or vampnet/opera"
        )
    there = registry.installed().get(str(name))
    if there is not None and not registry.is_own(there):
        raise UsageError(f"{name} comes with vamp", "keep yours under another name")
    folder = out or registry.folder_of(str(name))
    install.import_files(install.parts_of(files), folder, dtype, overwrite)
    origin = read_origin(folder)
    assert origin is not None
    random = origin.licence == install.RANDOM
    console.note(f"licence{'' if random else ', if these are the published weights'}: {origin.licence}")
    console.result(str(folder))
