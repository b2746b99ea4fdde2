"""`vamp page`: a page to listen on, of takes made earlier."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vampcli.audio.find import SOUNDS, find
from vampcli.audio.formats import PageAudio
from vampcli.cli import options as o
from vampcli.cli.console import Console
from vampcli.cli.jobs.originals import base_of, find_originals
from vampcli.cli.jobs.outputs import check_outputs, make_folder, names_folder
from vampcli.cli.jobs.pages import INDEX, SUFFIXES, check_suffix
from vampcli.errors import InputError, UsageError
from vampcli.files import claim, write_text
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.recipe import Recipe

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform
    from vampcli.tasks.recording import Recording

Made = tuple[Path, Recipe]
"""A take and its recipe."""


def page(
    inputs: Annotated[list[str], typer.Argument(metavar="TAKE", help="Results of vamp: files, folders, patterns.")],
    *,
    out: Annotated[
        str, o.value("The page, or a folder of pages.", "-o", "--out", panel=o.OUTPUT, metavar="FILE.html")
    ] = "takes.html",
    source: Annotated[
        str | None, o.value("Where the input is now.", "--input", metavar="FILE", show_default="where it was")
    ] = None,
    page_audio: o.PageAudioName = "vorbis",
    recursive: o.Recursive = False,
    overwrite: o.Overwrite = False,
    dry_run: Annotated[bool, o.flag("Print what would be done.", panel=o.OUTPUT)] = False,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write a page to listen on and choose: takes made earlier, in sync with their original.

    The recipe in a take names its original. Takes of several originals become a folder of pages with an index.

    Example: vamp page song.inpaint.*.wav -o takes.html
    Example: vamp page takes/ -o pages/
    """
    console = Console(quiet)
    groups = list(_group(list(_find(inputs, recursive)), source))
    paths = _name_pages(groups, out)
    index = [Path(os.path.expanduser(out), INDEX)] if len(groups) > 1 else []
    for group in groups:
        for path in (*paths, *index):
            for take, _ in group.takes:
                check_outputs([path], take, overwrite)
    with ExitStack() as claims:
        for group, path in zip(groups, paths, strict=True):
            if not dry_run:
                if not claims.enter_context(claim(path)):
                    raise InputError(f"{path} is being made by another process", "wait for it, or name another file")
                make_folder(path)
                write_text(path, group.html(page_audio), overwrite)
            facts = {"output": str(path), "takes": [str(take) for take, _ in group.takes], "input": group.title}
            console.result({**facts, **({"dry_run": True} if dry_run else {})} if as_json else str(path))
        if index and not dry_run:
            _write_index(index[0], groups, paths, overwrite)
            console.note(f"{index[0]}: an index of the pages")


@dataclass(frozen=True)
class Group:
    """Takes of one recording that are equally long.

    Attributes:
        recording: the original.
        base: what the takes are without generated samples.
        takes: files and recipes.
    """

    recording: Recording
    base: Waveform
    takes: Sequence[Made]

    @property
    def title(self) -> str:
        """Name of the original."""
        return Path(self.recording.name).name

    @property
    def summary(self) -> str:
        """Number of the takes, and the commands that made them."""
        commands = dict.fromkeys(recipe.command for _, recipe in self.takes)
        n = len(self.takes)
        return f"{n} take{'s' * (n != 1)} of vamp {', '.join(commands)}"

    def html(self, page_audio: PageAudio) -> str:
        """Return the page."""
        from vampcli.audio.read import read
        from vampcli.page.render import Page
        from vampcli.page.tracks import Encoder, Version

        tracks, encoder = [], Encoder(self.base, page_audio)
        for path, recipe in self.takes:
            version = Version(path.name, recipe.synthetic, {}, recipe, shlex.join(["vamp", "replay", str(path)]))
            take = read(path, "zero")
            if take.samples.shape != self.base.samples.shape:
                raise InputError(f"{path} was cut after vamp made it: it has {take.n_samples} samples", "leave it out")
            tracks.append(encoder.encode(version, take))
        return Page(self.title, encoder, encoder.encode_base(self.title), tracks, self.summary).html()


def _find(inputs: Sequence[str], recursive: bool) -> Iterator[Made]:
    """Yield the takes among files; in folders, others are left out."""
    n_found = 0
    for found in find(inputs, recursive, SOUNDS):
        recipe = recipe_of(found.path)
        if recipe is None and found.searched:
            continue
        if recipe is None:
            raise InputError(f"{found.path} does not say how it was made", "name a take that vamp has written")
        if recipe.part != "all":
            raise InputError(
                f"{found.path} is a part of a take, not all of it", "make it without --preview and --only-generated"
            )
        n_found += 1
        yield found.path, recipe
    if not n_found:
        raise InputError(f"{inputs[0]} holds no take of vamp", "name takes, or a folder of them")


def _group(takes: Sequence[Made], source: str | None) -> Iterator[Group]:
    """Yield the takes of each original; those of another length apart."""
    from vampcli.audio.read import read
    from vampcli.tasks.recording import Recording

    by_original: dict[tuple[str, int], list[Made]] = {}
    for path, recipe in takes:
        by_original.setdefault((recipe.source.sha256, recipe.n_samples), []).append((path, recipe))
    for (sha256, _), group in by_original.items():
        path, recipe = group[0]
        candidates = find_originals(path, recipe, source)
        for original in candidates:
            recording = Recording(read(original, "zero"), original, str(original))
            if recording.source.sha256 == sha256:
                break
        else:
            cure = "name the right one with --input"
            raise InputError(f"{candidates[0]} is not what {path} was made of: its sound is another", cure)
        yield Group(recording, base_of(recording, recipe, path), group)


def _name_pages(groups: Sequence[Group], out: str) -> list[Path]:
    """Name the page of each group; in a folder, after its first take."""
    path = Path(os.path.expanduser(out))
    if not names_folder(str(path)):
        check_suffix(path, "-o")
        if len(groups) > 1:
            raise UsageError(
                f"-o {out} names one page, but the takes are of {len(groups)} originals or lengths",
                "name a folder: -o pages/",
            )
        return [path]
    names = [path / group.takes[0][0].with_suffix(SUFFIXES[0]).name for group in groups]
    if len({*names, path / INDEX}) <= len(names):
        raise UsageError(f"two pages in {out} would have one name", "name the takes of one folder at a time")
    return names


def _write_index(index: Path, groups: Sequence[Group], paths: Sequence[Path], overwrite: bool) -> None:
    from vampcli.page.render import PageLink, index_html

    links = [PageLink(os.fsencode(path.name), one.title, one.summary) for one, path in zip(groups, paths, strict=True)]
    write_text(index, index_html("Takes of vamp", links), overwrite)
