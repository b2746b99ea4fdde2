"""A faithful slow path: what the official program does, written from its description, with the noise of `vamp`.

    python -m benchmarks.plain inpaint in.wav out.wav --start 4 --end 6 --model WEIGHTS
    python -m benchmarks.plain vamp in.wav out.wav --takes 4

Float32; weight norm anew at every call; hard windows of 10 s (coarse) and 3 s (fine) and takes one after another; the
whole clip encoded, and the whole clip decoded for each take. It is kinder than the official program in
three things: windows that hide nothing are left out, the clip is encoded once for all takes, and it imports less.

WEIGHTS is a folder of published files, or a model of `vamp`: its transformers are then taken apart into the published
form, and its codec is used as it is, but on whole clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import vampcli
from benchmarks import plain_sampler
from benchmarks.plain_codec import PlainCodec
from benchmarks.plain_transformer import PlainTransformer
from benchmarks.plain_weights import are_published, load_published, take_apart
from vampcli import SamplingConfig, Waveform
from vampcli.audio.loudness import level_gain
from vampcli.audio.resample import resample
from vampcli.tokens import masks
from vampcli.tokens.grid import TokenGrid
from vampcli.tokens.noise import Stage

_PERIOD, _MARGIN = 7, 1


@dataclass(frozen=True)
class Plain:
    """A codec, two transformers, and what temperature suits them."""

    codec: PlainCodec
    coarse: PlainTransformer
    fine: PlainTransformer
    temperature: float = 1.0

    def encode(self, clip: Waveform, spans: Sequence[tuple[int, int]] = ()) -> tuple[Tensor, float]:
        """The clip's tokens, int64 (n_codebooks, n_frames), and the gain before encoding."""
        mono = clip.samples.mean(axis=0, keepdims=True)
        gain = level_gain(mono, clip.sample_rate, spans)
        samples = torch.from_numpy(resample(mono, clip.sample_rate, self.codec.grid.sample_rate)[0] * np.float32(gain))
        return self.codec.encode(samples.to(self.coarse.codebooks.device)), gain

    def decode(self, tokens: Tensor, gain: float = 1.0) -> Waveform:
        """Mono, at the codec's rate: int64 (n_codebooks, n_frames)."""
        return Waveform(self.codec.decode(tokens).cpu().numpy()[None] / np.float32(gain), self.codec.grid.sample_rate)

    def fill(self, tokens: Tensor, mask: Tensor, seed: int, config: SamplingConfig) -> Tensor:
        """Generate what is hidden, coarse model first.

        Args:
            tokens: int64 (n_codebooks, n_frames); hidden ones may be anything.
            mask: bool (n_codebooks, n_frames), True = generate.
            seed: of the take.
            config: how to draw; neither typical filter nor top-p.

        Returns:
            int64 (n_codebooks, n_frames).
        """
        return self.fill_fine(self.fill_coarse(tokens, mask, seed, config), mask, seed, config)

    def fill_coarse(self, tokens: Tensor, mask: Tensor, seed: int, config: SamplingConfig) -> Tensor:
        """The first half of `fill`; the other codebooks stay as they are."""
        return self._filled(self.coarse, Stage.COARSE, config.steps, tokens, mask, seed, config)

    def fill_fine(self, tokens: Tensor, mask: Tensor, seed: int, config: SamplingConfig) -> Tensor:
        """The second half of `fill`."""
        return self._filled(self.fine, Stage.FINE, config.fine_steps, tokens, mask, seed, config)

    def _filled(
        self,
        network: PlainTransformer,
        stage: Stage,
        n_steps: int,
        tokens: Tensor,
        mask: Tensor,
        seed: int,
        config: SamplingConfig,
    ) -> Tensor:
        """Fill hard windows one after another."""
        sizes, filled = network.config, tokens.clone()
        mask = mask.to(tokens.device, copy=True)
        mask[: sizes.n_conditioning] = False
        for start in range(0, tokens.shape[1], sizes.context_frames):
            window = (slice(0, sizes.n_codebooks), slice(start, start + sizes.context_frames))
            filled[window] = plain_sampler.fill(
                network.logits,
                filled[window],
                mask[window],
                seed,
                replace(config, temperature=config.temperature * self.temperature),
                stage=stage,
                n_steps=n_steps,
                mask_id=sizes.codebook_size,
                first_frame=start,
            )
        return filled


def prompt(grid: TokenGrid, n_frames: int, sample_rate: int, spans: Sequence[tuple[int, int]] = ()) -> Tensor:
    """Return the mask of sample ranges, or of all but one frame in seven: bool (n_codebooks, n_frames)."""
    if not spans:
        return torch.from_numpy(masks.keep_periodic(grid.n_codebooks, n_frames, _PERIOD))
    touched = [grid.frames_touched(start, end, sample_rate) for start, end in spans]
    return torch.from_numpy(masks.spans(grid.n_codebooks, n_frames, [(a - _MARGIN, b + _MARGIN) for a, b in touched]))


def load(where: str | Path, device: str = "cpu") -> Plain:
    """Load published files, or a model of ours, taken apart."""
    torch.backends.cudnn.allow_tf32 = False  # float32 is meant
    if are_published(where):
        return Plain(*load_published(Path(where), device))
    model = vampcli.load(where, device=device, dtype="fp32")
    return Plain(model.codec, take_apart(model.coarse), take_apart(model.fine), model.temperature)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make takes of a recording."""
    asked = _parser().parse_args(arguments)
    plain, clip = load(asked.model, asked.device), vampcli.read(asked.input)
    spans = []
    if asked.command == "inpaint":
        spans = [(round(asked.start * clip.sample_rate), round(asked.end * clip.sample_rate))]
    config = SamplingConfig(steps=asked.steps, fine_steps=asked.fine_steps)
    with torch.inference_mode():
        tokens, gain = plain.encode(clip, spans)
        mask = prompt(plain.codec.grid, tokens.shape[1], clip.sample_rate, spans)
        for seed in range(asked.seed, asked.seed + asked.takes):
            filled = plain.fill(tokens, mask, seed, config)
            path = asked.output if asked.takes == 1 else asked.output.with_suffix(f".{seed}{asked.output.suffix}")
            vampcli.write(path, plain.decode(filled, gain), overwrite=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain", description="A faithful slow path.")
    parser.add_argument("command", choices=["inpaint", "vamp"])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--start", type=float, default=0.0, help="of what inpaint re-makes, in seconds")
    parser.add_argument("--end", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=36)
    parser.add_argument("--fine-steps", type=int, default=2)
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--device", default="cpu")
    return parser


if __name__ == "__main__":
    main()
