"""`vamp compress`: keep a few tokens of a recording, and make the sound again from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vampcli.audio.formats import TOKENS
from vampcli.cli import options as o
from vampcli.cli.config import Rule
from vampcli.cli.jobs.job import Job, Load, NamingHints, Opened, Results, Workflow, Written
from vampcli.cli.jobs.outputs import make_folder
from vampcli.cli.jobs.plots import draw_tokens
from vampcli.cli.jobs.write import make_takes, write_takes
from vampcli.config import SamplingConfig
from vampcli.errors import InputError, ModelError, UsageError
from vampcli.progress import Progress
from vampcli.recipe.recipe import InputSource

if TYPE_CHECKING:
    from vampcli.api import Model, Take
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.recipe.token_file import TokenFile
    from vampcli.tasks.compress import Compress
    from vampcli.tasks.recording import Recording

_KEPT = {"keep_codebooks", "period", "bitrate"}
_HOW = {"stereo", *(f.name for f in fields(SamplingConfig))}


def compress(
    ctx: typer.Context,
    *,
    keep_codebooks: Annotated[
        int | None, o.value("Keep only the first codebooks.", panel=o.PROMPT, show_default="4")
    ] = None,
    period: Annotated[
        int | None, o.value("Keep one frame in N; 1 all, 0 none.", panel=o.PROMPT, show_default="1")
    ] = None,
    bitrate: Annotated[
        float | None,
        o.value("Keep what fits into this many bits per second.", panel=o.PROMPT),
        Rule(excludes=("keep-codebooks", "period")),
    ] = None,
    common: o.Common,
) -> Workflow:
    """Keep a few tokens of recordings and make the sound again from them alone.

    A .vamp file as output holds these tokens only. A .vamp file as input gives the same sound again.

    Example: vamp compress song.wav --bitrate 1000 -o song.vamp
    Example: vamp compress song.vamp -o song.wav
    Example: vamp compress songs/ --name {stem}.vamp -o small/
    """
    sources = {name: ctx.get_parameter_source(name) for name in _KEPT | _HOW}
    typed = frozenset(name for name, source in sources.items() if source and source.name == "COMMANDLINE")
    return CompressWorkflow("compress", common, (keep_codebooks, period, bitrate), typed)


@dataclass(frozen=True)
class OpenedTokens(Opened):
    """A job whose source is a token file."""

    file: TokenFile


@dataclass(frozen=True)
class CompressWorkflow(Workflow):
    """From sound or a token file to sound or a token file.

    Attributes:
        named: codebooks, period and bits per second to keep, each as typed or None.
        typed: options on the command line that a token file does not allow.
    """

    named: tuple[int | None, int | None, float | None]
    typed: frozenset[str] = frozenset()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Workflow.suffixes`."""
        makes_tokens = Path(self.common.name or "").suffix.lower() == TOKENS
        return () if makes_tokens else (TOKENS,)

    def name_results(self, source: Path) -> NamingHints:
        """See `Workflow.name_results`."""
        hints = super().name_results(source)
        if source.suffix.lower() != TOKENS:
            return hints
        from vampcli.recipe import token_file

        try:
            return replace(hints, seed=token_file.load(source).recipe.seed)
        except InputError:
            return hints  # reported when the file is opened

    def check_output(self, source: Path, path: Path) -> None:
        """See `Workflow.check_output`."""
        if source.suffix.lower() == TOKENS:
            self._check_tokens(source, path)
        if path.suffix.lower() != TOKENS:
            super().check_output(source, path)
        elif self.common.takes > 1:
            raise UsageError(f"{path} would be the same for each of {self.common.takes} takes", "ask for one take")
        elif self.common.subtype:
            raise UsageError(f"{path} holds tokens, not samples", "leave --int16, --int24 and --float32 out")
        elif self.common.page:
            raise UsageError(f"{path} holds tokens, not sound", "leave --page out")
        elif self.common.labels:
            raise UsageError(f"{path} holds tokens, not sound", "leave --labels out")
        elif self.common.only_generated or self.common.difference:
            raise UsageError(f"{path} holds tokens, not sound", "leave --only-generated and --difference out")

    def _check_tokens(self, source: Path, path: Path) -> None:
        if path.suffix.lower() == TOKENS:
            raise UsageError(f"{source} is a token file already", "name a sound file: -o song.wav")
        if self.typed & _KEPT:
            raise UsageError(f"{source} says already what is kept", "leave out what to keep")
        if self.typed & _HOW:
            raise UsageError(f"{source} says already how it is made", "leave out --steps, --stereo and their like")
        if self.common.difference:
            raise UsageError(f"{source} has no sound to compare with", "leave --difference out")

    def open(self, job: Job, metadata: ModelMetadata) -> Opened:
        """See `Workflow.open`."""
        if job.source.suffix.lower() == TOKENS:
            return self._open_tokens(job, metadata)
        from vampcli.audio.read import read
        from vampcli.audio.write import check_output
        from vampcli.tasks.recording import Recording

        clip, n_model_channels = read(job.source, self.common.nan), 1
        if self.common.stereo == "channels":
            n_model_channels = clip.n_channels
        request = self._request(metadata, n_model_channels)
        for path in job.paths:
            if path.suffix.lower() != TOKENS:
                check_output(path, clip, self.common.subtype)
        recording = Recording(clip, job.source, job.name)
        recording.source  # noqa: B018 (raises now if the stored recipe is damaged)
        return self._opened(job, request, recording, metadata, n_model_channels)

    def _request(self, metadata: ModelMetadata, n_model_channels: int) -> Compress:
        from vampcli.tasks.compress import Compress
        from vampcli.tokens import bitrate

        n_kept, period, bits = self.named
        if bits is not None:
            n_kept, period = bitrate.choose(metadata.codec.grid, bits / n_model_channels)
        named = {"keep_codebooks": n_kept, "period": period}
        return Compress(**{name: value for name, value in named.items() if value is not None})

    def _open_tokens(self, job: Job, metadata: ModelMetadata) -> Opened:
        from vampcli.audio.write import check_output
        from vampcli.recipe import token_file
        from vampcli.tasks.compress import Compress, silence_of
        from vampcli.tasks.recording import Recording

        file = token_file.load(job.source)
        made_by = file.recipe.made_by
        if made_by.model_sha256 != self._model_hash:
            raise ModelError(
                f"{job.source} was made with {made_by.model}, not with this {self.common.model}", "name it with -m"
            )
        clip = silence_of(file)
        for path in job.paths:
            check_output(path, clip, self.common.subtype)
        request = Compress(max(1, file.n_kept_codebooks), file.period)
        source = InputSource(job.name, hashlib.sha256(job.source.read_bytes()).hexdigest(), file.recipe)
        opened = self._opened(job, request, Recording(clip).with_source(source), metadata, len(file.tokens))
        return OpenedTokens(**vars(opened), file=file)

    def _opened(
        self, job: Job, request: Compress, recording: Recording, metadata: ModelMetadata, n_model_channels: int
    ) -> Opened:
        grid, clip = metadata.codec.grid, recording.clip
        plan = request.plan(recording, metadata.codec, metadata.context_frames)
        n_kept = min(request.keep_codebooks, grid.n_codebooks)
        bits = n_model_channels * request.n_bits(grid, plan.n_frames) / clip.duration_s
        facts = {"keep_codebooks": n_kept, "period": request.period, "bits_per_second": bits}
        summary = f"{clip.duration_s:.2f} s out of {bits:.0f} bit/s ({n_kept} codebooks, period {request.period})"
        return Opened(job, request, recording, plan, facts, summary)

    def make(self, load: Load, opened: Opened, progress: Progress) -> Results:
        """See `Workflow.make`."""
        model = load()
        if isinstance(opened, OpenedTokens):
            yield from self._bring_back(model, opened, progress)
        elif opened.job.paths[0].suffix.lower() == TOKENS:
            yield from self._squeeze(model, opened)
        else:
            yield from make_takes(load, opened, self.common, progress)

    @cached_property
    def _model_hash(self) -> str:
        from vampcli.checkpoints import registry

        return registry.model_hash(registry.locate(self.common.model))

    def _squeeze(self, model: Model, opened: Opened) -> Results:
        from vampcli.recipe import embed, token_file

        (path,), (seed,), common = opened.job.paths, opened.job.seeds, self.common
        file = model.squeeze(
            opened.recording,
            opened.request,  # type: ignore[arg-type]  # a request of this command
            seed=seed,
            sampling=common.sampling,
            stereo=common.stereo,
            rendering=opened.job.rendering,
        )
        make_folder(path)
        token_file.save(path, file if common.metadata else token_file.without_source(file), common.overwrite)
        if common.sidecar:
            embed.write_beside(path, file.recipe, common.overwrite)
        if common.plot:
            draw_tokens(path, opened, file, model.grid.frame_s, common)
        n_bytes = path.stat().st_size
        rate = n_bytes * 8 / opened.duration_s
        yield f"{path.name}: {n_bytes} bytes, {rate:.0f} bit/s in all"
        yield Written(path, seed, {"n_bytes": n_bytes, "file_bits_per_second": rate})

    def _bring_back(self, model: Model, opened: OpenedTokens, progress: Progress) -> Results:
        from vampcli.tasks.take import TakeOptions

        def draw(seeds: Sequence[int]) -> Iterator[Take]:
            return model.expand(opened.file, TakeOptions(seeds, progress=progress), opened.recording.source)

        return write_takes(opened, self.common, draw, model.grid.frame_s)
