"""Make takes and write them, all or the best, with their recipes and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.jobs.excerpt import inside, timeline
from vampcli.cli.jobs.job import Facts, Job, Load, Opened, Results, Written
from vampcli.cli.jobs.labels import labels_path, write_labels
from vampcli.cli.jobs.outputs import make_folder
from vampcli.cli.jobs.pages import TakePage
from vampcli.cli.jobs.plots import draw_take
from vampcli.cli.options import Common
from vampcli.files import exists
from vampcli.progress import Progress
from vampcli.recipe import embed
from vampcli.recipe.recipe import Ranges, Recipe, to_text

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.audio.waveform import Waveform
    from vampcli.scoring.attacks import ExpectedAttacks
    from vampcli.scoring.scores import Reference, Scores
    from vampcli.scoring.select import Choice

Describe = Callable[["Take"], tuple[Facts, str]]
"""Facts about a take for `--json`, and a note, which may be empty."""

Draw = Callable[[Sequence[int]], Iterator["Take"]]
"""Make the takes of seeds one by one."""

Scored = tuple[Path, "Take", "Scores | None"]
"""A take, its path, and its scores if they are needed."""


def make_takes(
    load: Load,
    opened: Opened,
    common: Common,
    progress: Progress,
    describe: Describe | None = None,
    loops: bool = False,
) -> Results:
    """Make the takes of a recording and write them, with a model if the plan needs one; see `write_takes`."""
    from vampcli.tasks.loop import Loop
    from vampcli.tasks.sign import copies
    from vampcli.tasks.take import TakeOptions

    def draw(seeds: Sequence[int]) -> Iterator[Take]:
        request, plan = opened.request, opened.plan
        options = TakeOptions(seeds, common.sampling, common.stereo, progress, opened.job.rendering)
        if opened.codec and not plan.calls and isinstance(request, Loop):
            return copies(opened.recording, request, options, plan, opened.codec, opened.job.model.name)
        return load().takes(opened.recording, request, options, plan)

    codec = opened.codec or load().codec
    return write_takes(opened, common, draw, codec.grid.frame_s, describe, loops)


def write_takes(
    opened: Opened, common: Common, draw: Draw, frame_s: float, describe: Describe | None = None, loops: bool = False
) -> Results:
    """Write the takes of a recording one by one, or with `--keep` the best, once all are made.

    Args:
        opened: the recording.
        common: options of the outputs.
        draw: makes takes.
        frame_s: length of a frame in seconds, for plots.
        describe: facts and a note about each take.
        loops: the takes are loops: the files say so, and scores count the wrap as a junction.
    """
    score = scorer(opened, loops)
    if common.keep is None:
        scored = _in_turn(opened.job, draw, score if common.plot else None)
    else:
        from vampcli.scoring.select import choose

        choice = choose(draw, score, opened.job.seeds, common.keep)
        again = ", ".join(f"{n} {why}" for why, n in choice.hopeless.items())
        yield f"kept {len(choice.kept)} of {choice.n_drawn} takes" + (f"; hopeless were: {again}" if again else "")
        scored = _best(opened.job, choice, common.skip_existing)
    page = TakePage(opened, common) if common.page else None
    for rank, (path, take, scores) in enumerate(scored, 1):
        facts, note = describe(take) if describe else ({}, "")
        _write(path, take, common, loops, opened.excerpt)
        if common.plot:
            # the tokens of a loop are rotated by half a copy, so its mask is too
            mask = opened.plan.mask(len(take.mask)) if loops and opened.plan.calls else take.mask.numpy()
            draw_take(path, opened, take, mask, scores, frame_s, common)
        if page:
            page.add(path, take, scores)
            facts["page"] = str(page.path)
        if common.labels and opened.plan.calls:
            facts["labels"] = str(labels_path(opened.job, common))
        seed = take.seed
        del take  # before the next is made: it may be long
        if scores is not None:
            facts["scores"] = asdict(scores)
        if common.keep is not None and scores is not None:
            yield f"{path.name}: number {rank}, seed {seed}, {_score_words(scores)}"
        if note:
            yield f"{path.name}: {note}"
        yield Written(path, seed, facts)
    if page and (note := page.write()):
        yield note
    if common.labels:
        yield write_labels(opened, common)


def _score_words(scores: Scores) -> str:
    """Describe the scores of a take, which `vampcli.scoring.scores.Scores` explains."""
    words = {
        "click": "{:.1f}",
        "jump": "{:.1f}",
        "level_db": "{:+.1f} dB",
        "colour_db": "{:.1f} dB",
        "attacks": "{:.2f}",
    }
    found = [(name.removesuffix("_db"), text, getattr(scores, name)) for name, text in words.items()]
    listed = ", ".join(f"{name} {text.format(value)}" for name, text, value in found if value is not None)
    return f"score {scores.total:.2f} ({listed})"


def _in_turn(job: Job, draw: Draw, score: Callable[[Take], Scores] | None) -> Iterator[Scored]:
    takes = draw(job.seeds)
    for path in job.paths:
        take = next(takes)
        yield path, take, score(take) if score else None
        del take  # before the next is made


def _best(job: Job, choice: Choice, skip_existing: bool) -> Iterator[Scored]:
    paths = job.naming.paths([take.seed for take, _ in choice.kept])
    for path, (take, scores) in zip(paths, choice.kept, strict=True):
        if not (skip_existing and exists(path)):
            yield path, take, scores


def _write(path: Path, take: Take, common: Common, loops: bool, excerpt: Ranges) -> None:
    """Write a take, or the part of it that is wanted, and its recipe."""
    from vampcli.audio import splice
    from vampcli.audio.metadata.carry import moved
    from vampcli.audio.write import write

    take = take.fitted(path, common.subtype, common.clip_mode)
    part, loop = take.audio, (0, take.audio.n_samples) if loops else None
    metadata = take.metadata if common.metadata else None
    if common.only_generated:
        part, loop = splice.cut_out(part, take.spans), None
        metadata = metadata and moved(metadata, None)
    elif common.difference:
        part = splice.difference(part, take.base)
    elif excerpt:
        part = splice.cut_out(part, excerpt)
        metadata = metadata and moved(metadata, timeline(excerpt, part.sample_rate))
    recipe = _recipe_of_part(take, part, common, excerpt)
    make_folder(path)
    text = to_text(recipe) if common.metadata else ""
    write(path, part, common.subtype, common.overwrite, loop, text, metadata, common.clip_mode)
    if common.sidecar:
        embed.write_beside(path, recipe, common.overwrite)


def _recipe_of_part(take: Take, part: Waveform, common: Common, excerpt: Ranges) -> Recipe:
    assert take.recipe is not None  # the model sets it
    recipe = replace(take.recipe, subtype=common.subtype, clip_mode=common.clip_mode)
    if common.only_generated:
        n_samples = part.n_samples
        return replace(recipe, part="generated", n_samples=n_samples, synthetic=((0, n_samples),))
    if excerpt:
        synthetic = inside(recipe.synthetic, excerpt)
        return replace(recipe, part="preview", n_samples=part.n_samples, synthetic=synthetic)
    return replace(recipe, part="difference") if common.difference else recipe


def scorer(opened: Opened, loops: bool) -> Callable[[Take], Scores]:
    """Return a function that scores takes of a recording; the recording is analyzed once, at the first take."""
    reference: Reference | None = None
    expected: ExpectedAttacks | None = None

    def score(take: Take) -> Scores:
        nonlocal reference, expected
        from vampcli.scoring.attacks import ExpectedAttacks
        from vampcli.scoring.scores import Reference
        from vampcli.scoring.select import rotate_loop

        if expected is None:
            expected = ExpectedAttacks.of(opened.clip, opened.plan.stretches)
        attacks = expected.agreement(take.audio)
        if loops:
            take = rotate_loop(take)
        if reference is None:
            reference = Reference.of(take.base, take.spans)
        return reference.score(take, attacks)

    return score
