"""The model as people use it: load it, and ask it for takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.checkpoints import registry
from vampcli.checkpoints.weights import load_parts
from vampcli.config import PromptConfig, SamplingConfig, Span
from vampcli.errors import ModelError, UsageError
from vampcli.model.devices import pick_batches, pick_device, pick_dtype
from vampcli.progress import Progress
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.maker import Audio, Maker
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.plan import Margin
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Stereo, Take
from vampcli.tasks.vamp import Vamp

__all__ = ["Model", "Stereo", "Take", "load"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model(Maker):
    """A codec, the two transformers that know its tokens, and what can be asked of them.

    All verbs share these arguments:
        audio: the clip or its path.
        seed: of the first take; take i has seed + i and nothing else.
        n_takes: how many.
        config: how to draw.
        stereo: `mid` makes the middle and gives it the stereo image of what is around, or was there; `channels`
            makes both channels with the same noise.
        progress: told after each step of either model.
    """

    def inpaint(
        self,
        audio: Audio,
        spans: Sequence[Span],
        *,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        margin: Margin = 1,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Re-make spans of a clip; every other sample stays as it is, to the bit.

        The spans are start and end in seconds, or bars or beats counted; the margin is how many frames around a span
        are hidden, since their tokens have heard it. For all else see `Model`.

        Raises:
            UsageError: a span is reversed or shorter than a frame, the margin negative, or `stereo` unknown.
            InputError: a span lies outside the clip, or the clip has more than two channels.
        """
        return self._list(Inpaint(SpanRequest(spans), margin), audio, seed, n_takes, config, stereo, progress)

    def outpaint(
        self,
        audio: Audio,
        *,
        after_s: float = 0.0,
        before_s: float = 0.0,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Add seconds at the end or the beginning of a clip, which stays as it is, to the bit; see `Outpaint`."""
        return self._list(Outpaint(after_s, before_s), audio, seed, n_takes, config, stereo, progress)

    def loop(
        self,
        audio: Audio,
        span: Span | None = None,
        *,
        repeats: int = 1,
        variation: float = 0.0,
        seam_s: float = 0.3,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Make a span of a clip, or all of it, a loop without a seam; see `Loop`."""
        request = Loop(SpanRequest([span] if span else []), repeats, variation, seam_s)
        return self._list(request, audio, seed, n_takes, config, stereo, progress)

    def vamp(
        self,
        audio: Audio,
        prompt: PromptConfig | None = None,
        spans: Sequence[Span] = (),
        *,
        amount: float | None = None,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Vary a clip, or spans of it: what the prompt names is kept, or what `amount` means; see `Vamp`."""
        request = Vamp(prompt or PromptConfig(), SpanRequest(spans), amount=amount)
        return self._list(request, audio, seed, n_takes, config, stereo, progress)

    def compress(
        self,
        audio: Audio,
        n_kept_codebooks: int = Compress.n_kept_codebooks,
        period: int = 1,
        *,
        seed: int = 0,
        n_takes: int = 1,
        config: SamplingConfig | None = None,
        stereo: Stereo = "mid",
        progress: Progress | None = None,
    ) -> list[Take]:
        """Keep few tokens of a clip and make the others anew; see `Compress`."""
        return self._list(Compress(n_kept_codebooks, period), audio, seed, n_takes, config, stereo, progress)

    def _list(
        self,
        request: Task,
        audio: Audio,
        seed: int,
        n_takes: int,
        config: SamplingConfig | None,
        stereo: Stereo,
        progress: Progress | None,
    ) -> list[Take]:
        if n_takes < 1:
            raise UsageError(f"{n_takes} takes are asked for", "ask for one or more")
        seeds = range(seed, seed + n_takes)
        return list(self.takes(audio, request, seeds=seeds, config=config, stereo=stereo, progress=progress))


def load(
    name_or_folder: str | Path = "mini",
    device: str = "auto",
    dtype: str = "auto",
    exact: bool = False,
    compiled: bool = False,
) -> Model:
    """Load a model by name or folder.

    Args:
        name_or_folder: such as `mini`, `mini+NAME` with an adapter, or a folder of either.
        device: auto, cpu, cuda, cuda:N or mps.
        dtype: auto, fp32, bf16 or fp16, for the transformers.
        exact: on a GPU, too, run every window by itself, so that a take depends on nothing else; on a CPU it always is.
        compiled: let `torch.compile` make kernels of the transformers, in their first passes.

    Raises:
        ModelError: it is missing or damaged.
        DeviceError: there is no such device.
    """
    place = pick_device(device)
    precision = pick_dtype(dtype, place)
    found = registry.locate(name_or_folder)
    parts = load_parts(found.folder, place, precision, found.adapter)
    log.info("%s on %s in %s", name_or_folder, place, precision)
    if parts.coarse is None or parts.fine is None:
        raise ModelError(f"{name_or_folder} holds a codec only", "it needs coarse.safetensors and fine.safetensors")
    if compiled:
        for network in (parts.coarse, parts.fine):
            network.compile(dynamic=False, mode="reduce-overhead" if place.type == "cuda" else "default")
    return Model(
        parts.codec,
        parts.coarse,
        parts.fine,
        place,
        parts.provenance,
        str(name_or_folder),
        found,
        precision,
        parts.temperature,
        compiled,
        batches=pick_batches(place, parts.coarse.config, exact, compiled),
    )
