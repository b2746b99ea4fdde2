"""Find the recordings of a command, and name the outputs of each before anything is read."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vampcli.audio.find import SOUNDS, FoundFile, find_all, unreadable, warn_of_left_out
from vampcli.audio.formats import TOKENS
from vampcli.cli.jobs.job import Job, Workflow
from vampcli.cli.jobs.labels import labels_path
from vampcli.cli.jobs.outputs import Naming
from vampcli.cli.jobs.pages import page_path
from vampcli.cli.jobs.pipes import PIPE, Pipes
from vampcli.cli.jobs.plots import plot_path
from vampcli.cli.jobs.shard import parse_shard
from vampcli.cli.options import Common
from vampcli.config import MOST_PLACES
from vampcli.errors import InputError, UsageError
from vampcli.files import claim, exists
from vampcli.recipe import embed

log = logging.getLogger(__name__)

COMMANDS = ("inpaint", "outpaint", "loop", "vamp", "compress")
_MADE = "made by vamp"
_RESULT = re.compile(rf".+\.({'|'.join(COMMANDS)})(\.preview)?\.-?\d+(\.replay)*")


def find_sources(
    inputs: Sequence[str],
    recursive: bool,
    suffixes: Sequence[str] = (),
    out: str | None = None,
    of_results: bool = False,
    include_made: bool = False,
) -> tuple[list[FoundFile], bool, InputError | None]:
    """Find the files that inputs stand for; results of vamp in folders are left out.

    Args:
        inputs: as for `find`.
        recursive: search subfolders.
        suffixes: of files in folders, beside those of sound.
        out: folder of the results; left out if it lies in a folder that is searched.
        of_results: leave out only results of `replay`.
        include_made: leave out none that do not lie in `out`.

    Returns:
        The files; whether there are several inputs, or one that can stand for several files; and an error that names
        folders that cannot be read.

    Raises:
        InputError: there is no such file.
    """
    everything = find_all(inputs, recursive, (*SOUNDS, *suffixes))
    found = [_without_made(file, out, of_results, include_made) for file in everything]
    files = [file for file in found if not file.left_out]
    if not files:
        n_made = sum(file.left_out == _MADE for file in found)
        raise InputError(
            f"{inputs[0]} holds nothing but results of vamp ({n_made} file{'s' * (n_made != 1)})",
            "name a file to work on it again, or add --include-made",
        )
    warn_of_left_out(found)
    return files, (len(inputs) > 1 or len(files) > 1 or any(f.searched for f in files)), unreadable(found)


def _without_made(file: FoundFile, out: str | None, of_results: bool, include_made: bool) -> FoundFile:
    """Leave out a file that was found and that vamp has made."""
    if not file.searched or file.left_out:
        return file
    is_made = _lies_in(file, out) or (not include_made and _is_made_by_vamp(file.path, of_results))
    return replace(file, left_out=_MADE) if is_made else file


def _is_made_by_vamp(path: Path, by_replay: bool) -> bool:
    """Say whether vamp made a file: by its name, or by the recipe in it if it was renamed."""
    if by_replay:
        return path.stem.endswith(".replay")
    if path.suffix.lower() == TOKENS:
        return False
    return _RESULT.fullmatch(path.stem) is not None or embed.holds_recipe(path)


def _lies_in(found: FoundFile, out: str | None) -> bool:
    """Say whether a file lies in the folder of results, and that in the folder that was searched."""
    if out is None:
        return False
    path = Path(os.path.abspath(found.path))
    folder, searched = Path(os.path.abspath(os.path.expanduser(out))), path.parents[len(found.below.parts)]
    return searched in folder.parents and folder in path.parents


def find_jobs(workflow: Workflow, inputs: Sequence[str], piped: Pipes) -> tuple[list[Job], InputError | None]:
    """Find the recordings of a command and name their outputs; nothing is read but hints for names.

    Returns:
        The jobs, none if there are more shards than recordings; and an error that names folders that cannot be read.

    Raises:
        InputError: there is no recording, or an output is another recording.
        UsageError: two outputs have one name, or an option for names or the shard is wrong.
    """
    common = workflow.common
    shard = None if common.shard is None else parse_shard(common.shard)
    found, several, missed = find_sources(
        piped.inputs(inputs),
        common.recursive,
        workflow.suffixes,
        common.out,
        workflow.of_results,
        common.include_made,
    )
    default_seed = 0 if common.skip_existing or several or shard else MOST_PLACES * secrets.randbelow(1000)
    files = [file for file in found if not file.searched or workflow.accepts(file.path)]
    if not files:
        raise InputError(f"nothing among {len(found)} files is for vamp {workflow.command}", "name a file")
    jobs = [_name_outputs(workflow, file, several, default_seed, piped) for file in files]
    alike = _differing_in_suffix(jobs)
    jobs = [
        _name_outputs(workflow, file, several, default_seed, piped, full_stem=True) if job.source in alike else job
        for file, job in zip(files, jobs, strict=True)
    ]
    jobs = _without_results(jobs, common.overwrite)
    _check_distinct(jobs, common)
    if shard:  # names and checks are those of a run over all
        share = shard.of([job.source for job in jobs])
        jobs = [job for job in jobs if job.source in share]
    return jobs, missed


def _differing_in_suffix(jobs: list[Job]) -> set[Path]:
    """Return the sources whose results have the name of another source's results, and differ in their suffix alone."""
    makers: dict[str, set[Path]] = {}
    for job in jobs:
        for path in job.paths:
            makers.setdefault(os.path.abspath(path), set()).add(job.source)
    return {source for group in makers.values() if len({one.name for one in group}) > 1 for source in group}


def _name_outputs(
    workflow: Workflow, file: FoundFile, several: bool, default_seed: int, piped: Pipes, full_stem: bool = False
) -> Job:
    common, hints = workflow.common, workflow.name_results(file.path)
    seed = next(seed for seed in (common.seed, hints.seed, default_seed) if seed is not None)
    seeds = [seed + i for i in range(common.takes)]
    naming = Naming(
        source=piped.name_source(hints.source),
        out=common.out if piped.target is None else PIPE,
        template=hints.template,
        command=workflow.command,
        model=hints.model.name,
        below=file.below,
        several=several,
        piped=piped.target,
        ext=workflow.ext,
        full_stem=full_stem,
    )
    paths = workflow.list_paths(naming, seeds)
    for path in paths:
        workflow.check_output(file.path, path)
    return Job(file.path, tuple(paths), tuple(seeds), piped.label(file.path), naming, hints.model)


def _without_results(jobs: list[Job], overwrite: bool) -> list[Job]:
    """Leave out inputs that are outputs of other inputs: `*.wav` names them in a second run.

    Raises:
        InputError: such an input would be overwritten.
    """
    makers = {os.path.abspath(path): job for job in jobs for path in job.paths}
    kept = []
    for job in jobs:
        maker = makers.get(os.path.abspath(job.source), job)
        if maker == job:
            kept.append(job)
        elif overwrite:
            raise InputError(
                f"{job.name} is an input, and would be overwritten by a result of {maker.name}",
                "name another folder with -o, or leave one of them out",
            )
    return kept


def _check_distinct(jobs: list[Job], common: Common) -> None:
    jobs_by_path: dict[str, Job] = {}
    for job in jobs:
        for path in (*job.paths, *list_companions(job, common)):
            other = jobs_by_path.setdefault(os.path.abspath(path), job)
            if other != job:
                raise UsageError(
                    f"{other.name} and {job.name} would both become {path}",
                    "put {parent} into --name if that tells them apart, or do one after the other with -o",
                )


def list_companions(job: Job, common: Common) -> list[Path]:
    """List the files written beside the takes: recipes, plots, the page and the labels.

    Raises:
        UsageError: the take goes to stdout, so there is no file to write a recipe beside.
    """
    if job.naming.piped and common.sidecar:
        raise UsageError("there is nothing beside stdout to write a recipe to", "leave --sidecar out")
    sidecars = [embed.beside(path) for path in job.paths if common.sidecar]
    plots = [plot_path(path, job, common) for path in job.paths if common.plot]
    pages = [page_path(job, common)] if common.page and job.paths else []
    labels = [labels_path(job, common)] if common.labels and job.paths else []
    return sidecars + plots + pages + labels


def skip_existing(job: Job, common: Common, taken: Sequence[Path] = ()) -> Job | None:
    """Leave out the takes that exist, if `--skip-existing` says so; None if no take is left.

    Args:
        job: of a recording.
        common: options of the outputs. With `--sidecar`, a recipe that is missing beside a take is written again.
        taken: outputs that another process makes.
    """
    if not (job.paths and common.skip_existing):
        return job
    left = [i for i, path in enumerate(job.paths) if path not in taken and not exists(path)]
    if common.sidecar and not common.dry_run:
        for path in job.paths:
            if exists(path) and not exists(embed.beside(path)):
                with claim(path) as held:
                    if held and not exists(embed.beside(path)):  # another process writes it, or has written it
                        _restore_sidecar(path)
    paths, seeds = tuple(job.paths[i] for i in left), job.seeds
    if common.keep is None:  # the best are found among all
        seeds = tuple(seeds[i] for i in left)
    return replace(job, paths=paths, seeds=seeds) if left else None


def _restore_sidecar(path: Path) -> None:
    recipe = embed.recipe_of(path)
    if recipe is None:
        log.warning("%s holds no recipe: none is written beside it", path)
    else:
        embed.write_beside(path, recipe)
