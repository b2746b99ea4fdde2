"""`vamp compress`: squeeze a recording into a few tokens, and bring it back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from vampcli.audio.formats import TOKENS
from vampcli.cli import options as o
from vampcli.cli.annotations import Rivals, Typed
from vampcli.cli.console import Console
from vampcli.cli.jobs.job import Facts, Job, Load, NamingHints, Opened, Results, Workflow
from vampcli.cli.jobs.outputs import make_folder
from vampcli.cli.jobs.plots import draw_tokens
from vampcli.cli.jobs.write import Writer
from vampcli.cli.names import option_of
from vampcli.config import SamplingConfig
from vampcli.errors import InputError, ModelError, UsageError
from vampcli.recipe.recipe import InputSource

if TYPE_CHECKING:
    from vampcli.api import Model, Take
    from vampcli.audio.waveform import Waveform
    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.recipe.token_file import TokenFile
    from vampcli.tasks.compress import Compress

_KEEP = "What is kept"
_KEPT = {"keep-codebooks", "period", "bitrate"}
_HOW = {"stereo", *(option_of(f.name) for f in fields(SamplingConfig))}


def compress(
    *,
    keep_codebooks: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Keep so many codebooks, the first ones.", show_default="4", rich_help_panel=_KEEP),
    ] = None,
    period: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Keep a frame in so many; 1 all, 0 none.", show_default="1", rich_help_panel=_KEEP),
    ] = None,
    bitrate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Keep what fits into so many bits per second.", rich_help_panel=_KEEP),
        Rivals("keep-codebooks", "period"),
    ] = None,
    common: o.Common,
    typed: Typed,
) -> Workflow:
    """Keep a few tokens of recordings and make the sound again from them alone.

    Into a .vamp file go those tokens only: as small as it gets. From a .vamp file comes the same sound again.

    Example: vamp compress song.wav --bitrate 1000 -o song.vamp

    Example: vamp compress song.vamp -o song.wav

    Example: vamp compress songs/ --name {stem}.vamp -o small/
    """
    if bitrate is not None and not (keep_codebooks is None and period is None):
        raise UsageError("--bitrate chooses codebooks and period", "leave it out, or --keep-codebooks and --period")
    return CompressWorkflow("compress", common, (keep_codebooks, period, bitrate), typed)


@dataclass(frozen=True)
class OpenedTokens(Opened):
    """A token file that has been read."""

    file: TokenFile


@dataclass(frozen=True)
class CompressWorkflow(Workflow):
    """From sound to sound, with token files on either side.

    Attributes:
        named: what to keep, as far as somebody said: codebooks, period, bits per second.
        typed: options that must not contradict a token file; others do not matter where it has a say.
    """

    named: tuple[int | None, int | None, float | None]
    typed: frozenset[str] = frozenset()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """See `Scheme.suffixes`."""
        makes_tokens = Path(self.common.name or "").suffix.lower() == TOKENS
        return () if makes_tokens else (TOKENS,)

    def brief(self, source: Path) -> NamingHints:
        """See `Scheme.brief`."""
        brief = super().brief(source)
        if source.suffix.lower() != TOKENS:
            return brief
        from vampcli.recipe import token_file

        try:
            return replace(brief, seed=token_file.load(source).recipe.seed)
        except InputError:
            return brief  # said where it is opened

    def check(self, source: Path, path: Path) -> None:
        """See `Scheme.check`."""
        if source.suffix.lower() == TOKENS:
            self._check_tokens(source, path)
        if path.suffix.lower() != TOKENS:
            super().check(source, path)
        elif self.common.takes > 1:
            raise UsageError(f"{path} would be the same for each of {self.common.takes} takes", "ask for one take")
        elif self.common.subtype:
            raise UsageError(f"{path} holds tokens, not samples", "leave --int16, --int24 and --float32 out")
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
        """See `Scheme.open`."""
        if job.source.suffix.lower() == TOKENS:
            return self._open_tokens(job, metadata)
        from vampcli.audio.io import check_output, read
        from vampcli.recipe import embed

        clip, n_model_channels = read(job.source), 1
        if self.common.channels == "channels":
            n_model_channels = clip.n_channels
        request = self._request(metadata, n_model_channels)
        for path in job.paths:
            if path.suffix.lower() != TOKENS:
                check_output(path, clip, self.common.subtype)
        source = embed.source_of(clip, job.source, job.name)
        return self._opened(job, request, clip, source, metadata, n_model_channels)

    def _request(self, metadata: ModelMetadata, n_model_channels: int) -> Compress:
        from vampcli.tasks.compress import Compress
        from vampcli.tokens import bitrate

        n_kept, period, bits = self.named
        if bits is not None:
            n_kept, period = bitrate.choose(metadata.codec.grid, bits / n_model_channels)
        named = {"n_kept_codebooks": n_kept, "period": period}
        return Compress(**{name: value for name, value in named.items() if value is not None})

    def _open_tokens(self, job: Job, metadata: ModelMetadata) -> Opened:
        from vampcli.audio.io import check_output
        from vampcli.recipe import token_file
        from vampcli.tasks.compress import Compress, silent

        file = token_file.load(job.source)
        made_by = file.recipe.made_by
        if made_by.model_sha256 != self._model_hash:
            raise ModelError(
                f"{job.source} was made with {made_by.model}, not with this {self.common.model}", "name it with -m"
            )
        clip = silent(file.n_channels, file.n_samples, file.sample_rate, file.subtype)
        for path in job.paths:
            check_output(path, clip, self.common.subtype)
        request = Compress(max(1, file.n_kept_codebooks), file.period)
        source = InputSource(job.name, hashlib.sha256(job.source.read_bytes()).hexdigest(), file.recipe)
        opened = self._opened(job, request, clip, source, metadata, len(file.tokens))
        return OpenedTokens(**vars(opened), file=file)

    def _opened(
        self,
        job: Job,
        request: Compress,
        clip: Waveform,
        source: InputSource,
        metadata: ModelMetadata,
        n_model_channels: int,
    ) -> Opened:
        grid, plan = metadata.codec.grid, request.plan(clip, metadata.codec, metadata.context_frames)
        n_kept = min(request.n_kept_codebooks, grid.n_codebooks)
        bits = n_model_channels * request.n_bits(grid, plan.n_frames) / clip.duration_s
        facts = {"keep_codebooks": n_kept, "period": request.period, "bits_per_second": bits}
        summary = f"{clip.duration_s:.2f} s out of {bits:.0f} bit/s ({n_kept} codebooks, period {request.period})"
        return Opened(job, request, clip, source, plan, facts, summary)

    def make(self, load: Load, opened: Opened, console: Console) -> Results:
        """See `Scheme.make`."""
        model = load()
        if isinstance(opened, OpenedTokens):
            yield from self._bring_back(model, opened, console)
        elif opened.job.paths[0].suffix.lower() == TOKENS:
            yield self._squeeze(model, opened)
        else:
            yield from Writer(opened, self.common, console).made(model)

    @cached_property
    def _model_hash(self) -> str:
        from vampcli.checkpoints import registry

        return registry.model_hash(registry.locate(self.common.model))

    def _squeeze(self, model: Model, opened: Opened) -> tuple[Path, int, Facts]:
        from vampcli.recipe import embed, token_file

        (path,), (seed,), common = opened.job.paths, opened.job.seeds, self.common
        file = model.squeeze(
            opened.clip,
            opened.request,  # type: ignore[arg-type]  # it is this command's own
            seed=seed,
            config=common.sampling,
            stereo=common.channels,
            source=opened.source,
        )
        make_folder(path)
        token_file.save(path, file, common.overwrite)
        if common.sidecar:
            embed.write_beside(path, file.recipe, common.overwrite)
        if common.plot:
            draw_tokens(path, opened, file, model.grid.frame_s, common)
        return path, seed, {"n_bytes": path.stat().st_size}

    def _bring_back(self, model: Model, opened: OpenedTokens, console: Console) -> Results:
        with console.progress(opened.job.title) as progress:

            def draw(seeds: Sequence[int]) -> Iterator[Take]:
                return model.expand(opened.file, seeds=seeds, progress=progress, source=opened.source)

            yield from Writer(opened, self.common, console).written(draw, model.grid.frame_s)
