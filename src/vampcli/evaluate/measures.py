"""Figures of takes, measured against the excerpt that they were made from."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from vampcli.audio import beats
from vampcli.audio.clicks import LIMIT
from vampcli.audio.librosa_loader import load_librosa
from vampcli.audio.resample import resample, resample_range
from vampcli.audio.waveform import Waveform
from vampcli.config import TempoConfig
from vampcli.errors import InputError, UsageError
from vampcli.evaluate import metrics, musicnn
from vampcli.scoring.attacks import correlation, strength
from vampcli.scoring.scores import Reference, click_figures
from vampcli.tasks.take import Take

Figures = dict[str, Any]
"""Numbers by name; None where there is nothing to measure. `embedding` holds a list of numbers for each patch."""

T = TypeVar("T")
Spans = tuple[tuple[int, int], ...]
"""Sample ranges [start, end)."""

EMBEDDING = "embedding"
_CHROMA_RATE = 22050
_NEEDS = {"rhythm": "mir_eval"}


@dataclass(frozen=True)
class Original:
    """An excerpt before anything is re-made.

    Attributes:
        audio: mono, at the model's rate.
        tokens: int64 (n_codebooks, n_frames).
        codebook_size: number of codes in a codebook.
    """

    audio: Waveform
    tokens: Tensor
    codebook_size: int
    _cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def measure_once(self, measure: Callable[[Waveform, Spans], T], spans: Spans) -> T:
        """Return `measure(audio, spans)`, cached for all takes (two threads may both compute it)."""
        if (measure, spans) not in self._cache:
            self._cache[measure, spans] = measure(self.audio, spans)
        return self._cache[measure, spans]  # type: ignore[no-any-return]

    @property
    def whole(self) -> Spans:
        """One span that covers the excerpt."""
        return ((0, self.audio.n_samples),)


def sound(take: Take, original: Original) -> Figures:
    """Spectral errors and level of the spans against the original; nothing if the take has another length."""
    if not _comparable(take, original):
        return {}
    made, target = (torch.from_numpy(_inside(x, take.spans)) for x in (take.audio, original.audio))
    return {
        "mel_error": metrics.piece_mel_error(made, target, original.audio.sample_rate),
        "spectral_distance": metrics.spectral_distance(made, target),
        "level_db": metrics.level_difference_db(made, target),
    }


def seams(take: Take, _original: Original) -> Figures:
    """Scores that rank takes, except level, and the share of borders of spans that click."""
    scores = Reference.of(take.base, take.spans).score(take)
    names = ("click", "jump", "colour_db", "silence")
    clicks = click_figures(take.audio, take.spans) > LIMIT
    return {
        **{name: getattr(scores, name) for name in names},
        "click_share": float(clicks.mean()) if clicks.size else None,
        "hopeless": float(bool(scores.hopeless)),
    }


def tokens(take: Take, original: Original) -> Figures:
    """Bit rate of the kept tokens, accuracy of the generated ones, and repetition of the first codebook.

    Repetition is the share of generated tokens that equal the token before, of all tokens if none was generated.
    Nothing if the take has another number of frames than the original.
    """
    made, mask, target = take.tokens[0], take.mask, original.tokens
    if made.shape != target.shape:
        return {}
    same, hidden = made == target, mask[0][1:]
    repeated = (made[0, 1:] == made[0, :-1])[hidden if hidden.any() else ...]
    return {
        "kept_bits_per_s": float((~mask).sum()) * math.log2(original.codebook_size) / original.audio.duration_s,
        "token_accuracy": _mean(same[mask]),
        "token_accuracy_first": _mean(same[0][mask[0]]),
        "repeats": _mean(repeated),
    }


def rhythm(take: Take, original: Original) -> Figures:
    """F1 of onsets (within 50 ms) and beats (70 ms) inside the spans, and the correlation of their onset strength.

    Nothing if the take has another length.

    Source: mir_eval (Raffel et al., ISMIR 2014).
    """
    if not _comparable(take, original):
        return {}
    import mir_eval

    made, target = _events(take.audio, take.spans), original.measure_once(_events, take.spans)
    measures = {"onset_f1": mir_eval.onset.f_measure, "beat_f1": mir_eval.beat.f_measure}
    found: Figures = {}
    for (name, measure), a, b in zip(measures.items(), target, made, strict=True):
        found[name] = None if not len(a) else 0.0 if not len(b) else float(np.ravel(measure(a, b))[0])
    return found | {
        "attacks": correlation(_attacks(take.audio, take.spans), original.measure_once(_attacks, take.spans))
    }


def harmony(take: Take, original: Original) -> Figures:
    """Correlation of chromagrams inside the spans; nothing if the take has another length."""
    if not _comparable(take, original):
        return {}
    made, target = _chroma(take.audio, take.spans), original.measure_once(_chroma, take.spans)
    if made.std() == 0 or target.std() == 0:
        return {"chroma_correlation": None}
    return {"chroma_correlation": float(np.corrcoef(made.ravel(), target.ravel())[0, 1])}


def embedding(take: Take, _original: Original) -> Figures:
    """Musicnn embeddings of 3 s patches around the spans, for Fréchet distances."""
    return {EMBEDDING: embed_patches(take.audio, take.spans)}


FIGURES: dict[str, Callable[[Take, Original], Figures]] = {
    measure.__name__: measure for measure in (sound, seams, tokens, rhythm, harmony, embedding)
}
"""Groups of figures by name."""


def diversity(takes: Sequence[Take]) -> float | None:
    """Return the mean mel error between takes, over all pairs; None for a single take."""
    made = [torch.from_numpy(_inside(take.audio, take.spans)) for take in takes]
    rate = takes[0].audio.sample_rate
    errors = [metrics.piece_mel_error(a, b, rate) for a, b in combinations(made, 2)]
    return float(np.mean(errors)) if errors else None


def embed_patches(audio: Waveform, spans: Spans) -> list[list[float]]:
    """Embed as many patches as fit between the first and the last sample of spans, at least one, spread evenly."""
    rate, (first, last) = audio.sample_rate, (spans[0][0], spans[-1][1])
    length_s, patch_s = (last - first) / rate, musicnn.PATCH / musicnn.RATE
    n = max(1, int(length_s / patch_s))
    latest_s = max(0.0, audio.n_samples / rate - patch_s)
    middles = [first / rate + length_s * (i + 0.5) / n for i in range(n)]
    starts = [round(min(max(0.0, middle - patch_s / 2), latest_s) * musicnn.RATE) for middle in middles]
    patches = [resample_range(audio.samples, rate, musicnn.RATE, at, at + musicnn.PATCH)[0] for at in starts]
    found = musicnn.embed(_weights(), torch.stack([torch.from_numpy(patch.copy()) for patch in patches]))
    return [[round(value, 4) for value in row] for row in found.tolist()]


def check_packages(groups: Sequence[str]) -> None:
    """Check that the packages that groups of figures need are installed.

    Raises:
        UsageError: one is not.
    """
    for group in groups:
        if (name := _NEEDS.get(group)) and importlib.util.find_spec(name) is None:
            cure = 'pip install "vampcli[eval]"'
            raise UsageError(f"{group} needs the package {name}, which is not installed", cure)


@lru_cache
def _weights() -> dict[str, Tensor]:
    return musicnn.load_weights()


def _comparable(take: Take, original: Original) -> bool:
    """Return whether the take has the original's length, so that positions in both correspond."""
    return take.audio.n_samples == original.audio.n_samples


def _inside(audio: Waveform, spans: Spans) -> Any:
    """Concatenate the first channel's samples inside spans: float32 (n_samples,)."""
    return np.concatenate([audio.samples[0, start:end] for start, end in spans]).astype(np.float32)


def _mean(same: Tensor) -> float | None:
    return float(same.double().mean()) if same.numel() else None


def _events(audio: Waveform, spans: Spans) -> tuple[Any, Any]:
    """Return onsets and beats inside spans, in seconds."""
    onsets = np.array(beats.onsets_s(audio.samples, audio.sample_rate))
    try:
        pulse = np.array(beats.track(audio.samples, audio.sample_rate, TempoConfig()).beats_s)
    except InputError:  # no beat was found
        pulse = np.zeros(0)

    def inside(times: Any) -> Any:
        return times[np.any([(times * audio.sample_rate >= a) & (times * audio.sample_rate < b) for a, b in spans], 0)]

    return inside(onsets), inside(pulse)


def _attacks(audio: Waveform, spans: Spans) -> Any:
    """Return the onset strength inside spans, one after another: float (n_frames,)."""
    return np.concatenate([strength(audio, start, end) for start, end in spans])


def _chroma(audio: Waveform, spans: Spans) -> Any:
    """Return the chromagram inside spans: float32 (12, n_frames)."""
    librosa = load_librosa()
    mono = resample(_inside(audio, spans)[None], audio.sample_rate, _CHROMA_RATE)[0]
    return librosa.feature.chroma_stft(y=mono, sr=_CHROMA_RATE, n_fft=4096, hop_length=1024, tuning=0.0)
