"""The stages of a take, each done once and timed, by `vamp` and by the plain version."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import soundfile as sf
import torch
from torch import Tensor

import vampcli
from benchmarks import plain
from benchmarks.bench import Bench, Subject
from benchmarks.limits import finisher
from benchmarks.measuring import FAST, time_call
from vampcli import Model, SamplingConfig, Waveform
from vampcli.tasks.regenerate import generate
from vampcli.tokens.grid import TokenGrid

Verb = Literal["inpaint", "vamp"]
VERBS: tuple[Verb, ...] = ("vamp", "inpaint")
_MANY = 36  # steps a stage would have: only the first of them are made


@dataclass(frozen=True)
class Task:
    """Model and clips of the stages.

    Attributes:
        subject: the model.
        bench: how it is measured.
        clip_s: length of the clip that steps are made on; `inpaint` re-makes the fifth in its middle.
        codec_s: length of the clip that is encoded, decoded and written.
        n_steps: that a step's time is the mean of.
        n_runs: of each way.
    """

    subject: Subject
    bench: Bench
    clip_s: float
    codec_s: float
    n_steps: int = 1
    n_runs: int = 1

    @property
    def span_s(self) -> tuple[float, float]:
        """Span of `inpaint`."""
        return 0.4 * self.clip_s, 0.6 * self.clip_s

    def title(self, verb: Verb) -> str:
        """Verb and lengths, for tables."""
        length = f"{self.clip_s:g} s"
        return f"vamp {length}" if verb == "vamp" else f"inpaint {self.clip_s / 5:g} of {length}"

    @cached_property
    def clip(self) -> Waveform:
        """Clip of the steps."""
        return vampcli.read(self.bench.clip(self.clip_s))

    def tokens(self, grid: TokenGrid) -> Tensor:
        """Any tokens of a clip of that length: int64 (n_codebooks, n_frames)."""
        shape = grid.n_codebooks, grid.n_frames(grid.n_samples(self.clip.n_samples, self.clip.sample_rate))
        drawn = torch.randint(grid.codebook_size, shape, generator=torch.Generator().manual_seed(0))
        return drawn.to(self.bench.device)

    def mask(self, grid: TokenGrid, verb: Verb) -> Tensor:
        """Mask of a task: bool (n_codebooks, n_frames)."""
        rate = self.clip.sample_rate
        start, end = (round(s * rate) for s in self.span_s)
        return plain.prompt(grid, self.tokens(grid).shape[1], rate, [(start, end)] if verb == "inpaint" else [])

    @cached_property
    def codec_clip(self) -> Waveform:
        """Clip to encode."""
        return vampcli.read(self.bench.clip(self.codec_s))

    @cached_property
    def finish(self) -> Callable[[], None]:
        """Waits for a GPU."""
        return finisher(self.bench.device)


class Way(Protocol):
    """One way of doing the stages; each gives the seconds that it took."""

    def load(self) -> float:
        """The weights, from a file that was read before."""

    def encode(self) -> float:
        """The whole clip."""

    def step(self, stage: str, verb: Verb) -> float:
        """One of the first steps of `coarse` or `fine`, over all windows of the clip that hide something."""

    def takes(self, verb: Verb, n_takes: int, config: SamplingConfig) -> float:
        """Takes of the clip that steps are made on, from sound to sound."""

    def decode(self) -> float:
        """The whole clip."""

    def write(self) -> float:
        """A file of 16 bits."""


@dataclass(frozen=True)
class FastWay:
    """The stages in `vamp`."""

    task: Task

    @cached_property
    def model(self) -> Model:
        """Loaded at first use."""
        return self.task.bench.load(self.task.subject.fast)

    @cached_property
    def tokens(self) -> Tensor:
        """Tokens to decode."""
        return self.model.encode(self.task.codec_clip)

    def load(self) -> float:
        """See `Way`."""
        task = self.task
        return time_call(lambda: task.bench.load(task.subject.fast), task.finish)

    def encode(self) -> float:
        """See `Way`."""
        model, clip = self.model, self.task.codec_clip
        return time_call(lambda: model.encode(clip), self.task.finish)

    def step(self, stage: str, verb: Verb) -> float:
        """See `Way`: the time between calls of `progress`, after which the take is given up."""
        model, grid = self.model, self.model.grid
        tokens, mask = self.task.tokens(grid)[None], self.task.mask(grid, verb)[None]
        n_before = 0 if stage == "coarse" else 1
        config = SamplingConfig(steps=_MANY)
        if n_before:
            config = SamplingConfig(steps=1, fine_steps=_MANY)
            mask[:, : model.coarse.config.n_codebooks] = False
        ticks: list[float] = []

        def progress(step: int, total: int) -> None:
            self.task.finish()
            ticks.append(time.perf_counter())
            if step == n_before + 1 + self.task.n_steps:
                raise _EnoughError

        with suppress(_EnoughError), torch.inference_mode():
            generate(model, tokens, mask.to(tokens.device), [0], model.suited(config), progress=progress)
        return (ticks[-1] - ticks[n_before]) / self.task.n_steps

    def takes(self, verb: Verb, n_takes: int, config: SamplingConfig) -> float:
        """See `Way`."""
        model, clip, span_s = self.model, self.task.clip, self.task.span_s
        if verb == "inpaint":
            return time_call(lambda: model.inpaint(clip, [span_s], takes=n_takes, sampling=config), self.task.finish)
        return time_call(lambda: model.vamp(clip, takes=n_takes, sampling=config), self.task.finish)

    def decode(self) -> float:
        """See `Way`."""
        model, tokens = self.model, self.tokens
        return time_call(lambda: model.decode(tokens), self.task.finish)

    def write(self) -> float:
        """See `Way`."""
        clip = self.task.codec_clip
        with tempfile.TemporaryDirectory() as folder:
            return time_call(lambda: vampcli.write(Path(folder) / "a.wav", clip))


class _EnoughError(Exception):
    """Enough steps were made."""


@dataclass(frozen=True)
class PlainWay:
    """The stages in the plain version."""

    task: Task

    @cached_property
    def plain(self) -> plain.Plain:
        """Loaded at first use."""
        return plain.load(self.task.subject.plain, self.task.bench.device)

    @cached_property
    def tokens(self) -> Tensor:
        """Tokens to decode."""
        with torch.inference_mode():
            return self.plain.encode(self.task.codec_clip)[0]

    def load(self) -> float:
        """See `Way`."""
        task = self.task
        return time_call(lambda: plain.load(task.subject.plain, task.bench.device), task.finish)

    def encode(self) -> float:
        """See `Way`."""
        own, clip = self.plain, self.task.codec_clip
        with torch.inference_mode():
            return time_call(lambda: own.encode(clip), self.task.finish)

    def step(self, stage: str, verb: Verb) -> float:
        """See `Way`."""
        grid, n_steps = self.plain.codec.grid, self.task.n_steps
        tokens, mask = self.task.tokens(grid), self.task.mask(grid, verb)
        config = SamplingConfig(steps=n_steps, fine_steps=n_steps)
        fill = self.plain.fill_coarse if stage == "coarse" else self.plain.fill_fine
        with torch.inference_mode():
            return time_call(lambda: fill(tokens, mask, 0, config), self.task.finish) / n_steps

    def takes(self, verb: Verb, n_takes: int, config: SamplingConfig) -> float:
        """See `Way`."""
        own, clip, mask = self.plain, self.task.clip, self.task.mask(self.plain.codec.grid, verb)

        def make() -> None:
            tokens, gain = own.encode(clip)
            for seed in range(n_takes):
                own.decode(own.fill(tokens, mask, seed, config), gain)

        with torch.inference_mode():
            return time_call(make, self.task.finish)

    def decode(self) -> float:
        """See `Way`."""
        tokens, own = self.tokens, self.plain
        with torch.inference_mode():
            return time_call(lambda: own.decode(tokens), self.task.finish)

    def write(self) -> float:
        """See `Way`."""
        clip = self.task.codec_clip
        integers = (clip.samples.T * 32767).astype(np.int16)
        with tempfile.TemporaryDirectory() as folder:
            return time_call(lambda: sf.write(Path(folder) / "a.wav", integers, clip.sample_rate))


def way(side: str, task: Task) -> Way:
    """One of the two."""
    return FastWay(task) if side == FAST else PlainWay(task)
