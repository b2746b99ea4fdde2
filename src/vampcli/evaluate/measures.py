"""What is measured of a take, beside the excerpt that it was made of."""

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
from vampcli.audio.resample import resample, resample_range
from vampcli.audio.waveform import Waveform
from vampcli.config import TempoConfig
from vampcli.errors import InputError, UsageError
from vampcli.evaluate import metrics, musicnn
from vampcli.evaluate import notes as notes_package
from vampcli.evaluate.packages import INSTALL, needed
from vampcli.scoring.scores import Reference
from vampcli.tasks.take import Take

Figures = dict[str, Any]
"""Numbers by name; None where there is nothing to measure. `embedding` holds a list of them for each patch."""

T = TypeVar("T")
Spans = tuple[tuple[int, int], ...]
"""Ranges of samples."""

EMBEDDING = "embedding"
_CHROMA_RATE = 22050


@dataclass(frozen=True)
class Original:
    """An excerpt as it was.

    Attributes:
        audio: mono, at the model's rate.
        tokens: int64 (n_codebooks, n_frames).
        codebook_size: how many there are to choose from.
    """

    audio: Waveform
    tokens: Tensor
    codebook_size: int
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, measure: Callable[[Waveform, Spans], T], spans: Spans) -> T:
        """What is measured of it inside spans, kept for all takes (two that ask side by side may both work it out)."""
        if (measure, spans) not in self._known:
            self._known[measure, spans] = measure(self.audio, spans)
        return self._known[measure, spans]  # type: ignore[no-any-return]

    @property
    def whole(self) -> Spans:
        """All of it, as a take's spans."""
        return ((0, self.audio.n_samples),)


def sound(take: Take, original: Original) -> Figures:
    """How far the sound of what was made is from what stood there; nothing of takes of another length."""
    if _moved(take, original):
        return {}
    made, target = (torch.from_numpy(_made(x, take.spans)) for x in (take.audio, original.audio))
    return {
        "mel_error": metrics.piece_mel_error(made, target, original.audio.sample_rate),
        "spectral_distance": metrics.spectral_distance(made, target),
        "level_db": metrics.level_difference_db(made, target),
    }


def seams(take: Take, _original: Original) -> Figures:
    """What ranks takes: clicks and jumps of the spectrum at the edges, colour, silence, liveliness."""
    scores = Reference.of(take.base, take.spans).score(take)
    names = ("click", "jump", "colour_db", "silence", "motion")
    return {name: getattr(scores, name) for name in names} | {"hopeless": float(bool(scores.hopeless))}


def tokens(take: Take, original: Original) -> Figures:
    """What keeping the others costs, how many made ones are the original's, and how many repeat the one before.

    The last of the first codebook alone, and of all its tokens where none were made. Nothing of takes that are longer
    than the original, or of which the models saw a part.
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
    """F1 of attacks (within 50 ms) and of beats (70 ms) against the original's, inside what was made, as in `sound`.

    Source: mir_eval (Raffel et al., ISMIR 2014).
    """
    if _moved(take, original):
        return {}
    mir_eval = needed("mir_eval")
    made, target = _events(take.audio, take.spans), original.once(_events, take.spans)
    agree = {"onset_f1": mir_eval.onset.f_measure, "beat_f1": mir_eval.beat.f_measure}
    found: Figures = {}
    for (name, measure), a, b in zip(agree.items(), target, made, strict=True):
        found[name] = None if not len(a) else 0.0 if not len(b) else float(np.ravel(measure(a, b))[0])
    return found


def harmony(take: Take, original: Original) -> Figures:
    """Correlation of the pitch classes with the original's, over time, as in `sound`."""
    if _moved(take, original):
        return {}
    made, target = _chroma(take.audio, take.spans), original.once(_chroma, take.spans)
    if made.std() == 0 or target.std() == 0:
        return {"chroma_correlation": None}
    return {"chroma_correlation": float(np.corrcoef(made.ravel(), target.ravel())[0, 1])}


def notes(take: Take, original: Original) -> Figures:
    """F1 of transcribed notes against the original's, as in `sound`."""
    if _moved(take, original):
        return {}
    made, target = (_made(x, take.spans) for x in (take.audio, original.audio))
    return {"note_f1": notes_package.note_f1(made, target, original.audio.sample_rate)}


def embedding(take: Take, _original: Original) -> Figures:
    """What a tagging network hears in patches of 3 s around what was made, for Fréchet distances."""
    return {EMBEDDING: embedded(take.audio, take.spans)}


def _moved(take: Take, original: Original) -> bool:
    """Whether places of a take are not those of the original: it is longer, say."""
    return take.audio.n_samples != original.audio.n_samples


FIGURES: dict[str, Callable[[Take, Original], Figures]] = {
    measure.__name__: measure for measure in (sound, seams, tokens, rhythm, harmony, notes, embedding)
}
"""All groups of figures, by name."""


def diversity(takes: Sequence[Take]) -> float | None:
    """Mean mel error of each two takes; None of one."""
    made = [torch.from_numpy(_made(take.audio, take.spans)) for take in takes]
    rate = takes[0].audio.sample_rate
    errors = [metrics.piece_mel_error(a, b, rate) for a, b in combinations(made, 2)]
    return float(np.mean(errors)) if errors else None


def embedded(audio: Waveform, spans: Spans) -> list[list[float]]:
    """Embeddings of patches that lie evenly over a range of samples, as many as it has room for, one at least."""
    rate, (first, last) = audio.sample_rate, (spans[0][0], spans[-1][1])
    length_s, patch_s = (last - first) / rate, musicnn.PATCH / musicnn.RATE
    n = max(1, int(length_s / patch_s))
    room = audio.n_samples / rate - patch_s
    middles = [first / rate + length_s * (i + 0.5) / n for i in range(n)]
    starts = [round(min(max(0.0, middle - patch_s / 2), max(0.0, room)) * musicnn.RATE) for middle in middles]
    patches = [resample_range(audio.samples, rate, musicnn.RATE, at, at + musicnn.PATCH)[0] for at in starts]
    found = musicnn.embed(_weights(), torch.stack([torch.from_numpy(patch.copy()) for patch in patches]))
    return [[round(value, 4) for value in row] for row in found.tolist()]


_NEEDS = {"rhythm": ("mir_eval",), "notes": ("mir_eval", *notes_package.NEEDS), "embedding": ("musicnn",)}


def check_packages(groups: Sequence[str]) -> None:
    """Find out before any work whether what figures need is installed.

    Raises:
        UsageError: it is not.
    """
    for group in groups:
        for name in _NEEDS.get(group, ()):
            if importlib.util.find_spec(name) is None:
                raise UsageError(f"{group} needs the package {name}, which is not installed", INSTALL)


@lru_cache
def _weights() -> dict[str, Tensor]:
    return musicnn.load_weights()


def _made(audio: Waveform, spans: Spans) -> Any:
    """What was made, one span after another: float32 (n_samples,)."""
    return np.concatenate([audio.samples[0, start:end] for start, end in spans]).astype(np.float32)


def _mean(same: Tensor) -> float | None:
    return float(same.double().mean()) if same.numel() else None


def _events(audio: Waveform, spans: Spans) -> tuple[Any, Any]:
    """Attacks and beats inside spans, in seconds."""
    onsets = np.array(beats.onsets_s(audio.samples, audio.sample_rate))
    try:
        pulse = np.array(beats.track(audio.samples, audio.sample_rate, TempoConfig()).beats_s)
    except InputError:  # there is none
        pulse = np.zeros(0)

    def inside(times: Any) -> Any:
        return times[np.any([(times * audio.sample_rate >= a) & (times * audio.sample_rate < b) for a, b in spans], 0)]

    return inside(onsets), inside(pulse)


def _chroma(audio: Waveform, spans: Spans) -> Any:
    """Pitch classes inside spans: float32 (12, n_frames)."""
    import librosa

    mono = resample(_made(audio, spans)[None], audio.sample_rate, _CHROMA_RATE)[0]
    return librosa.feature.chroma_stft(y=mono, sr=_CHROMA_RATE, n_fft=4096, hop_length=1024, tuning=0.0)
