"""Slow, obvious versions of algorithms of the package: plain loops, one sentence each."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vampcli.config import PromptConfig, SamplingConfig
from vampcli.model.config import VampNetConfig
from vampcli.tokens.noise import Stage, Stream


def frames_touched(start: int, end: int, file_rate: int, codec_rate: int, hop: int) -> tuple[int, int]:
    """First and one past the last frame that overlap in time with any of the file's samples."""
    touched = set()
    for sample in range(start, end):
        frame = sample * codec_rate // (file_rate * hop) - 2
        while frame * hop * file_rate < (sample + 1) * codec_rate:
            if (frame + 1) * hop * file_rate > sample * codec_rate:
                touched.add(frame)
            frame += 1
    assert touched == set(range(min(touched), max(touched) + 1))
    return min(touched), max(touched) + 1


def paste(x: np.ndarray, spans: Sequence[tuple[int, int]], g: np.ndarray, fade: int) -> np.ndarray:
    """Sample by sample: the generated audio, plus the faded mirrored residual of both borders."""
    y = x.astype(np.float64).copy()
    for i, (start, end) in enumerate(spans):
        kept_from = spans[i - 1][1] if i else 0
        kept_to = spans[i + 1][0] if i + 1 < len(spans) else x.shape[1]
        before = min(fade, start - kept_from, end - start)
        after = min(fade, kept_to - end, end - start)
        for channel in range(x.shape[0]):
            for i in range(start, end):
                value = float(g[channel, i])
                t = i - start
                if t < before:
                    residual = float(x[channel, start - 1 - t]) - float(g[channel, start - 1 - t])
                    value += math.cos(math.pi * t / (2 * before)) ** 2 * residual
                t = end - 1 - i
                if t < after:
                    residual = float(x[channel, end + t]) - float(g[channel, end + t])
                    value += math.cos(math.pi * t / (2 * after)) ** 2 * residual
                y[channel, i] = value
    return y.astype(x.dtype)


def kept_periodic(n_frames: int, period: int, width: int, offset: int) -> list[bool]:
    """Frames that pulses of `width` frames around offset, offset ± period, ... keep."""
    kept = [False] * n_frames
    reach = n_frames + abs(offset) + period + width
    for pulse in range(-reach, reach + 1):
        for frame in range(offset + pulse * period - width // 2, offset + pulse * period - width // 2 + width):
            if 0 <= frame < n_frames:
                kept[frame] = True
    return kept


def event_ranges(
    times_s: Sequence[float], width_s: float, rate: int, hop: int, first_frame: int, n_frames: int
) -> list[set[int]]:
    """For each event, the frames of the clip with one of its samples; an event has at least one sample."""
    found = []
    for time in times_s:
        start = round(time * rate)
        samples = range(start, max(start + 1, round((time + width_s) * rate)))
        frames = {sample // hop - first_frame for sample in samples}
        found.append({frame for frame in frames if 0 <= frame < n_frames})
    return [frames for frames in found if frames]


def drawn_prompt(
    config: PromptConfig, n_codebooks: int, n_frames: int, events: Sequence[tuple[int, int]], rng: np.random.Generator
) -> list[list[bool]]:
    """Token by token: the decisions of three random streams, hidden = True."""
    rolls, tokens, drops = rng.spawn(3)
    period = config.resolved_period
    pulses = (
        kept_periodic(n_frames, period, config.width, int(rolls.integers(period))) if period else [False] * n_frames
    )
    chance = tokens.random((n_codebooks, n_frames))
    hidden = [[True] * n_frames for _ in range(n_codebooks)]
    for frame in range(n_frames):
        in_event = any(start <= frame < end for start, end in events)
        for codebook in range(n_codebooks):
            if chance[codebook, frame] >= config.intensity or pulses[frame] or in_event:
                hidden[codebook][frame] = False
    keeping = [frame for frame in drops.permutation(n_frames) if not all(row[frame] for row in hidden)]
    for frame in keeping[: int(config.dropout * len(keeping) + drops.random())]:
        for codebook in range(n_codebooks):
            hidden[codebook][frame] = True
    for codebook in range(n_codebooks):
        if config.keep_codebooks is not None and codebook >= config.keep_codebooks:
            hidden[codebook] = [True] * n_frames
    return hidden


def kept_share(config: PromptConfig, n_codebooks: int) -> float:
    """Mean share of all tokens that a periodic prompt keeps."""
    frames = config.width / config.resolved_period if config.resolved_period else 0.0
    codebooks = n_codebooks if config.keep_codebooks is None else min(n_codebooks, config.keep_codebooks)
    return frames * (1 - config.dropout) * codebooks / n_codebooks


def packed(tokens: Sequence[int], n_bits: int) -> bytes:
    """Write every token in binary, one after another, and read the string as bytes."""
    text = "".join(format(token, f"0{n_bits}b") for token in tokens)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def lowbias32(x: int) -> int:
    """Wellons' integer hash, in Python's integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def unit(*, seed: int, stage: Stage, stream: Stream, step: int, frame: int, codebook: int, cls: int | None) -> float:
    """Uniform number of a counter, hashed word by word; without a class, that of the token."""
    word = 0
    for part in (seed % 2**32, seed // 2**32 % 2**32, stage, stream, step):
        word = lowbias32((word + part + 0x9E3779B9) % 2**32)
    word = lowbias32((word + frame) % 2**32)
    word = lowbias32(word ^ (codebook + 1) * 0x9E3779B1 % 2**32)
    word = lowbias32(word if cls is None else word ^ lowbias32(cls + 1))
    u = (np.float32(word // 2**8) + np.float32(0.5)) / np.float32(2**24)
    return min(float(u), 1 - 2**-24)


def gumbel(**counter: Any) -> float:
    """Gumbel number of a counter, see `unit`."""
    return -math.log(-math.log(unit(**counter)))


def regions(hidden: Sequence[bool], context: int) -> list[tuple[int, int]]:
    """Join hidden frames over kept gaps under half a context, then cut what is too long into equal parts."""
    runs, start, gap = [], None, 0
    for frame, is_hidden in enumerate(hidden):
        if is_hidden:
            start = frame if start is None else start
            end, gap = frame + 1, 0
        elif start is not None:
            gap += 1
            if 2 * gap >= context:
                runs.append((start, end))
                start = None
    if start is not None:
        runs.append((start, end))
    parts = []
    for start, end in runs:
        n = math.ceil((end - start) / context)
        for i in range(n):
            parts.append((start + i * (end - start) // n, start + (i + 1) * (end - start) // n))
    return parts


def places_that_see_enough(frames: Sequence[int], n_frames: int, context: int) -> list[int]:
    """First frames of windows in which all of these see an eighth of a context on either side, or to the end."""
    reach = context // 8
    return [
        start
        for start in range(max(1, n_frames - context + 1))
        if all(start <= max(0, f - reach) and min(n_frames, f + 1 + reach) <= start + context for f in frames)
    ]


def starts(hidden: Sequence[bool], context: int) -> list[int]:
    """Give a window hidden frame after hidden frame while it can hold them all; then lay it around what it got.

    Nothing is rounded, as in contexts below 32.
    """
    n_frames, shares = len(hidden), list[list[int]]()
    for frame in (i for i, is_hidden in enumerate(hidden) if is_hidden):
        if shares and places_that_see_enough([*shares[-1], frame], n_frames, context):
            shares[-1].append(frame)
        else:
            shares.append([frame])
    middles = [(own[0] + own[-1] + 1 - context) // 2 for own in shares]
    return [min(max(0, middle), max(0, n_frames - context)) for middle in middles]


def fused(model: Callable[..., Tensor], tokens: Tensor, context: int, frame: int, hidden: Sequence[bool]) -> Tensor:
    """Log-probabilities at one frame of one take: (n_codebooks, n_frames) -> (n_predicted, classes)."""
    n_frames = tokens.shape[1]
    length = min(context, n_frames)
    total, weights = 0.0, 0.0
    for start in starts(hidden, context):
        if not start <= frame < start + length:
            continue
        logits = model(tokens[None, :, start : start + length])[0, :, frame - start]
        to_left = length / 2 if start == 0 else frame - start + 0.5
        to_right = length / 2 if start + length == n_frames else start + length - frame - 0.5
        weight = min(to_left, to_right)
        total = total + weight * logits.double().log_softmax(-1)
        weights += weight
    return (total / weights).log_softmax(-1)


def typical(p: Sequence[float], mass: float, min_tokens: int) -> set[int]:
    """Take the classes of least |surprise - entropy| until they hold the mass and are enough."""
    entropy = -sum(q * math.log(q) for q in p if q > 0)
    kept: set[int] = set()
    for k in sorted(range(len(p)), key=lambda k: abs(-math.log(p[k]) - entropy)):
        if sum(p[j] for j in kept) >= mass and len(kept) >= min_tokens:
            break
        kept.add(k)
    return kept


def nucleus(p: Sequence[float], mass: float) -> set[int]:
    """Take the likeliest classes until they hold the mass."""
    kept: set[int] = set()
    for k in sorted(range(len(p)), key=lambda k: -p[k]):
        if sum(p[j] for j in kept) >= mass:
            break
        kept.add(k)
    return kept


def softmax(logits: Sequence[float]) -> list[float]:
    """In float64."""
    top = max(logits)
    powers = [math.exp(x - top) for x in logits]
    return [power / sum(powers) for power in powers]


def distribution(logits: Sequence[float], config: SamplingConfig) -> list[float]:
    """Typical filter, top-p, temperature, in that order; removed classes have probability 0."""
    kept = set(range(len(logits)))
    if config.typical_mass < 1:
        kept &= typical(softmax(logits), config.typical_mass, config.typical_min_tokens)
    if config.top_p < 1:
        p = softmax([x if k in kept else -math.inf for k, x in enumerate(logits)])
        kept &= nucleus(p, config.top_p)
    return softmax([x / (config.temperature or 1.0) if k in kept else -math.inf for k, x in enumerate(logits)])


def fill(
    logits_of: Callable[[Tensor], Tensor],
    tokens: Tensor,
    mask: Tensor,
    seed: int,
    config: SamplingConfig,
    model: VampNetConfig,
    first_frame: int = 0,
) -> Tensor:
    """The sampler for one take, token by token.

    `logits_of`: int64 (n_codebooks, n_frames) -> float (n_predicted, n_frames, classes).
    """
    n_conditioning, mask_id = model.n_conditioning, model.codebook_size
    stage, n_steps = (Stage.FINE, config.fine_steps) if n_conditioning else (Stage.COARSE, config.steps)
    in_line = {"confidence": lambda codebook, frame: 0, "halton": halton}[config.sampler]
    parts = regions(mask.any(0).tolist(), model.context_frames)
    n_at_start = [int(mask[:, start:end].sum()) for start, end in parts]
    tokens, hidden = tokens.clone(), {(int(c), int(f)) for c, f in mask.nonzero()}
    for step in range(n_steps):
        r = np.float32((step + 1) / n_steps)
        gamma = min(max(np.cos(r * np.float32(math.pi) / np.float32(2)), np.float32(1e-10)), np.float32(1))
        shown = tokens.clone()
        for token in hidden:
            shown[token] = mask_id
        logits, confidence = logits_of(shown), {}
        for codebook, frame in hidden:
            p = distribution(logits[codebook - n_conditioning, frame].tolist(), config)
            log_p = np.array([math.log(q) if q > 0 else -math.inf for q in p])
            noise = {"seed": seed, "stage": stage, "step": step, "frame": frame + first_frame, "codebook": codebook}
            score = log_p
            if step / n_steps <= config.sample_cutoff and config.temperature > 0:
                score = log_p + [gumbel(stream=Stream.DRAW, cls=k, **noise) for k in range(len(p))]
            tokens[codebook, frame] = drawn = int(score.argmax())
            chance = config.mask_temperature * (1 - (step + 1) / n_steps)
            confidence[codebook, frame] = log_p[drawn] + chance * gumbel(stream=Stream.HIDE, cls=None, **noise)
        again: set[tuple[int, int]] = set()
        for (start, end), n in zip(parts, n_at_start, strict=True):
            inside = [token for token in hidden if start <= token[1] < end]
            k = max(1, min(len(inside) - 1, math.floor(gamma * np.float32(n)))) if step < n_steps - 1 else 0
            again |= set(sorted(inside, key=lambda token: (-in_line(*token), confidence[token]))[:k])
        hidden = again
    return tokens


def halton(codebook: int, frame: int) -> float:
    """Van der Corput's sequence: the frame's binary digits, first to last, behind the point; shifted by codebooks.

    Of equals, the coarser is first.
    """
    digits = format(frame ^ codebook, "b")[::-1]
    return sum(int(digit) / 2 ** (i + 1) for i, digit in enumerate(digits)) + codebook / 2**48


def fake_model(n_codebooks: int, n_conditioning: int, n_classes: int, seed: int = 0) -> Callable[..., Tensor]:
    """A model in a few lines: every frame sees its tokens, its neighbours' and the mean of the window."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_codebooks, n_classes + 1, 8, generator=generator)
    heads = torch.randn(n_codebooks - n_conditioning, 8, n_classes, generator=generator)

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        x = sum(rows[c][tokens[:, c]] for c in range(n_codebooks))
        mixed = x + x.mean(1, keepdim=True)
        mixed[:, 1:] += 0.5 * x[:, :-1]
        mixed[:, :-1] -= 0.5 * x[:, 1:]
        return torch.einsum("bfd,pdk->bpfk", mixed[:, wanted], heads) / n_codebooks**0.5

    return forward
