"""Takes into files: all of them or the best, with their recipes and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.console import Console
from vampcli.cli.options import Common
from vampcli.cli.outputs import make_folder
from vampcli.cli.pictures import draw_take
from vampcli.cli.scheme import Facts, Opened
from vampcli.recipe import Recipe, to_text

if TYPE_CHECKING:
    from vampcli.audio import Waveform
    from vampcli.engine import Model, Take
    from vampcli.ranking import Reference, Scores

Describe = Callable[["Take"], tuple[Facts, str]]
"""Says more of a take, for machines and for people."""


def nothing_more(_take: Take) -> tuple[Facts, str]:
    """Of most takes there is nothing more to say."""
    return {}, ""


def made(
    model: Model,
    opened: Opened,
    common: Common,
    console: Console,
    describe: Describe = nothing_more,
    loops: bool = False,
) -> Iterator[tuple[Path, int, Facts]]:
    """Make and write the takes of a request."""
    with console.progress(opened.job.title) as progress:

        def draw(seeds: Sequence[int]) -> Iterator[Take]:
            return model.takes(
                opened.clip,
                opened.request,
                seeds=seeds,
                plan=opened.plan,
                config=common.sampling,
                stereo=common.channels,
                progress=progress,
                source=opened.source,
            )

        yield from written(draw, opened, model.grid.frame_s, common, console, describe, loops)


def written(
    draw: Callable[[Sequence[int]], Iterator[Take]],
    opened: Opened,
    frame_s: float,
    common: Common,
    console: Console,
    describe: Describe = nothing_more,
    loops: bool = False,
) -> Iterator[tuple[Path, int, Facts]]:
    """Write takes as they come, or the best when all have come.

    Args:
        draw: makes takes of seeds, one by one.
        opened: what they are made of.
        frame_s: length of a frame, for pictures.
        common: says how many, and what is written of them.
        console: tells people.
        describe: says more of each.
        loops: they are loops: say so in the files.
    """
    writer = Writer(opened, frame_s, common, loops)
    for path, take, scores in _chosen(draw, opened, common, console):
        facts, words = describe(take)
        writer.write(path, take, scores)
        seed = take.seed
        del take  # before the next is made: it may be long
        if scores is not None:
            facts["scores"] = asdict(scores)
        if words:
            console.note(f"{path.name}: {words}")
        yield path, seed, facts


def _chosen(
    draw: Callable[[Sequence[int]], Iterator[Take]], opened: Opened, common: Common, console: Console
) -> Iterator[tuple[Path, Take, Scores | None]]:
    """Takes, where they go, and their scores if anybody wants to know."""
    job = opened.job
    if common.keep is None:
        takes, score = draw(job.seeds), _Scorer(opened) if common.plot else None
        for path in job.paths:
            take = next(takes)
            yield path, take, score(take) if score else None
            del take
        return
    from vampcli.ranking.choosing import choose

    choice = choose(draw, _Scorer(opened), job.seeds, common.keep)
    again = ", ".join(f"{n} {why}" for why, n in choice.hopeless.items())
    console.note(f"kept {len(choice.kept)} of {choice.n_drawn} takes" + (f"; hopeless were: {again}" if again else ""))
    paths = job.naming.paths([take.seed for take, _ in choice.kept])
    for path, (take, scores) in zip(paths, choice.kept, strict=True):
        if not (common.skip_existing and path.exists()):
            yield path, take, scores


class _Scorer:
    """Measures takes of one request; what depends on the recording alone is found once."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._reference: Reference | None = None

    def __call__(self, take: Take) -> Scores:
        from vampcli.ranking import Reference
        from vampcli.ranking.choosing import turned

        request = self._opened.request
        if request.command == "loop":
            take = turned(take)
        if self._reference is None:
            places = getattr(request, "places", None)
            self._reference = Reference.of(take.base, take.spans, places.tempo if places else None)
        return self._reference.score(take)


@dataclass(frozen=True)
class Writer:
    """Writes takes of one recording.

    Attributes:
        opened: what they were made of.
        frame_s: length of a frame, for pictures.
        common: says what is written.
        loops: they are loops.
    """

    opened: Opened
    frame_s: float
    common: Common
    loops: bool = False

    def write(self, path: Path, take: Take, scores: Scores | None) -> None:
        """Write a take, or the part of it that was asked for; then its picture and its recipe, if they were."""
        from vampcli import audio, pasting, recipes

        common, whole = self.common, take.audio
        if common.only_generated:
            whole = pasting.cut_out(whole, take.spans)
        elif common.difference:
            whole = pasting.difference(whole, take.base)
        recipe = self._recipe(take, whole)
        make_folder(path)
        loop = (0, whole.n_samples) if self.loops and not common.only_generated else None
        comment = to_text(recipe, audio.most_comment(path))
        audio.write(path, whole, common.subtype or None, common.overwrite, loop, comment)
        if common.sidecar:
            recipes.write_beside(path, recipe, common.overwrite)
        if common.plot:
            draw_take(path, self.opened, take, scores, self.frame_s, common)

    def _recipe(self, take: Take, whole: Waveform) -> Recipe:
        """The recipe of a take, of which `whole` is what the file holds."""
        assert take.recipe is not None  # the engine gives all takes one
        recipe = replace(take.recipe, subtype=self.common.subtype)
        if self.common.only_generated:
            n_samples = whole.n_samples
            return replace(recipe, part="generated", n_samples=n_samples, synthetic=((0, n_samples),))
        return replace(recipe, part="difference") if self.common.difference else recipe
