"""Takes into files: all of them or the best, with their recipes and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vampcli.cli.console import Console
from vampcli.cli.jobs.job import Facts, Opened, Results
from vampcli.cli.jobs.outputs import make_folder
from vampcli.cli.jobs.plots import draw_take
from vampcli.cli.options import Common
from vampcli.recipe.recipe import Recipe, to_text

if TYPE_CHECKING:
    from vampcli.api import Model, Take
    from vampcli.audio.waveform import Waveform
    from vampcli.scoring.scores import Reference, Scores

Describe = Callable[["Take"], tuple[Facts, str]]
"""Says more of a take, for machines and for people."""

Draw = Callable[[Sequence[int]], Iterator["Take"]]
"""Makes takes of seeds, one by one."""


def nothing_more(_take: Take) -> tuple[Facts, str]:
    """Of most takes there is nothing more to say."""
    return {}, ""


@dataclass(frozen=True)
class Writer:
    """Writes takes of one recording.

    Attributes:
        opened: what they are made of.
        common: says how many, and what is written of them.
        console: tells people.
        describe: says more of each.
        loops: they are loops: the files say so, and their wrap counts like any other place.
    """

    opened: Opened
    common: Common
    console: Console
    describe: Describe = nothing_more
    loops: bool = False

    def made(self, model: Model) -> Results:
        """Make and write the takes of the request."""
        opened, common = self.opened, self.common
        with self.console.progress(opened.job.title) as progress:

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

            yield from self.written(draw, model.grid.frame_s)

    def written(self, draw: Draw, frame_s: float) -> Results:
        """Write takes as they come, or the best when all have come; a frame's seconds are for pictures."""
        for path, take, scores in self._chosen(draw):
            facts, words = self.describe(take)
            self._write(path, take, scores, frame_s)
            seed = take.seed
            del take  # before the next is made: it may be long
            if scores is not None:
                facts["scores"] = asdict(scores)
            if words:
                self.console.note(f"{path.name}: {words}")
            yield path, seed, facts

    def _chosen(self, draw: Draw) -> Iterator[tuple[Path, Take, Scores | None]]:
        """Takes, where they go, and their scores if anybody wants to know."""
        job, common, score = self.opened.job, self.common, _Scorer(self.opened, self.loops)
        if common.keep is None:
            takes = draw(job.seeds)
            for path in job.paths:
                take = next(takes)
                yield path, take, score(take) if common.plot else None
                del take
            return
        from vampcli.scoring.select import choose

        choice = choose(draw, score, job.seeds, common.keep)
        again = ", ".join(f"{n} {why}" for why, n in choice.hopeless.items())
        hopeless = f"; hopeless were: {again}" if again else ""
        self.console.note(f"kept {len(choice.kept)} of {choice.n_drawn} takes{hopeless}")
        paths = job.naming.paths([take.seed for take, _ in choice.kept])
        for path, (take, scores) in zip(paths, choice.kept, strict=True):
            if not (common.skip_existing and path.exists()):
                yield path, take, scores

    def _write(self, path: Path, take: Take, scores: Scores | None, frame_s: float) -> None:
        """Write a take, or the part of it that was asked for; then its picture and its recipe, if they were."""
        from vampcli.audio import splice
        from vampcli.audio.io import most_comment, write
        from vampcli.recipe import embed

        common, whole = self.common, take.audio
        if common.only_generated:
            whole = splice.cut_out(whole, take.spans)
        elif common.difference:
            whole = splice.difference(whole, take.base)
        recipe = self._recipe(take, whole)
        make_folder(path)
        loop = (0, whole.n_samples) if self.loops and not common.only_generated else None
        comment = to_text(recipe, most_comment(path))
        write(path, whole, common.subtype, common.overwrite, loop, comment)
        if common.sidecar:
            embed.write_beside(path, recipe, common.overwrite)
        if common.plot:
            # the mask of a loop is turned by half a copy, as its seams were made
            mask = self.opened.plan.mask(len(take.mask)) if self.loops else take.mask
            draw_take(path, self.opened, take, mask, scores, frame_s, common)

    def _recipe(self, take: Take, whole: Waveform) -> Recipe:
        """The recipe of a take, of which `whole` is what the file holds."""
        assert take.recipe is not None  # the engine gives all takes one
        recipe = replace(take.recipe, subtype=self.common.subtype)
        if self.common.only_generated:
            n_samples = whole.n_samples
            return replace(recipe, part="generated", n_samples=n_samples, synthetic=((0, n_samples),))
        return replace(recipe, part="difference") if self.common.difference else recipe


class _Scorer:
    """Measures takes of one request; what depends on the recording alone is found once."""

    def __init__(self, opened: Opened, loops: bool) -> None:
        self._opened, self._loops = opened, loops
        self._reference: Reference | None = None

    def __call__(self, take: Take) -> Scores:
        from vampcli.scoring.scores import Reference
        from vampcli.scoring.select import rotate_loop

        if self._loops:
            take = rotate_loop(take)
        if self._reference is None:
            places = getattr(self._opened.request, "places", None)
            self._reference = Reference.of(take.base, take.spans, places.tempo if places else None)
        return self._reference.score(take)
