"""Agreement of `vamp` with the plain version: identical tokens in float32, a share of them otherwise.

python -m benchmarks.same --model mini
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import vampcli
from benchmarks import bench, plain
from benchmarks.bench import PUBLISHED, Bench, Subject
from benchmarks.measuring import Agreement
from vampcli import SamplingConfig, Take, Waveform
from vampcli.model.devices import pick_dtype

_CLIP_S = 2  # within one window of either model: there, hard windows and overlapping ones are the same
_SEED = 7


@dataclass(frozen=True)
class How:
    """One way to run the fast side: what `vampcli.load` takes."""

    dtype: str
    exact: bool = False

    def __str__(self) -> str:
        return f"{self.dtype}, exact" if self.exact else self.dtype


def measure(own: Bench, model: str) -> list[Agreement]:
    """All comparisons of a model."""
    subject, clip = bench.subject(model, own.cache, stored="fp32"), vampcli.read(own.clip(_CLIP_S))
    is_slow = model == PUBLISHED and own.device == "cpu"
    hows = [How("fp32")]
    if not is_slow or pick_dtype("auto", torch.device("cpu")) == torch.bfloat16:  # in software it would take minutes
        hows.append(How("bf16"))
    if own.device == "cuda":
        hows += [replace(how, exact=True) for how in hows]
    slow = plain.load(subject.plain, own.device)
    ends = SamplingConfig(steps=1, fine_steps=1), SamplingConfig(steps=2 if own.quick or is_slow else 36)
    return [found for how in hows for found in _compare(subject, slow, own, how, clip, ends, 1 if is_slow else 2)]


def _compare(
    subject: Subject,
    slow: plain.Plain,
    own: Bench,
    how: How,
    clip: Waveform,
    configs: Sequence[SamplingConfig],
    n_takes: int,
) -> Iterator[Agreement]:
    model = own.load(subject.fast, how.dtype, how.exact)
    row = Agreement(subject.name, str(how), "codes of a clip")
    with torch.inference_mode():
        codes, _ = slow.encode(clip)
        yield replace(row, share=_equal(model.encode(clip), codes))
    for config in configs:
        takes = model.inpaint(clip, [(0.5, 1.5)], seed=_SEED, takes=n_takes, sampling=config)
        takes += model.vamp(clip, seed=_SEED, takes=n_takes, sampling=config)
        what = f"{len(takes)} takes of {config.steps} + {config.fine_steps} steps"
        yield replace(row, what=what, share=token_agreement(slow, takes, config))
    with torch.inference_mode():
        wanted = torch.from_numpy(slow.decode(codes).samples)
        yield replace(row, what="decoded sound", db=_above(wanted, torch.from_numpy(model.decode(codes).samples)))


def token_agreement(slow: plain.Plain, takes: list[Take], config: SamplingConfig) -> float:
    """The share of all tokens made in takes of a short clip that the plain version makes, too."""
    equal = []
    for take in takes:
        tokens = take.tokens[0].to(slow.coarse.codebooks.device)
        with torch.inference_mode():
            filled = slow.fill(tokens, take.mask, take.seed, config)
        equal.append((filled == tokens).cpu()[take.mask.cpu()])
    return float(torch.cat(equal).float().mean())


def _equal(a: Tensor, b: Tensor) -> float:
    return float((a == b).float().mean())


def _above(wanted: Tensor, other: Tensor) -> float | None:
    """Return the ratio in dB of a signal to its difference from another; None without a difference."""
    difference = float((wanted - other).square().mean())
    return float(10 * torch.log10(wanted.square().mean() / difference)) if difference else None


if __name__ == "__main__":
    bench.measure_part("same", "Fast against plain: the same tokens.", measure)
