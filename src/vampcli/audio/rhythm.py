"""Mel spectrum, tempo, beats and onsets, as librosa 0.11 computes them, in NumPy alone: nothing is compiled.

Source: librosa (ISC licence), after Ellis, "Beat Tracking by Dynamic Programming", 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

_TEMPO_WINDOW_S = 8.0
_FASTEST_BPM = 320.0
_TIGHTNESS = 100.0
_BLOCK = 512  # frames transformed at once
_KNEE_HZ, _HZ_PER_MEL, _LOG_STEP = 1000.0, 200 / 3, np.log(6.4) / 27  # linear below, logarithmic above


def mel_frequencies(n: int, highest_hz: float) -> Floats:
    """Return frequencies from 0 on that are evenly spaced on Slaney's mel scale: float64 (n,)."""
    knee = _KNEE_HZ / _HZ_PER_MEL
    mels = np.linspace(0, knee + np.log(highest_hz / _KNEE_HZ) / _LOG_STEP, n)
    return np.where(mels < knee, mels * _HZ_PER_MEL, _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mels, knee) - knee)))


def mel_powers(mono: Floats, rate: int, n_fft: int, hop: int, n_bands: int) -> Floats:
    """Return the power in mel bands: float32 (n_samples,) -> (n_bands, n_frames), frames centred on their time."""
    edges = mel_frequencies(n_bands + 2, rate / 2)
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(n_fft, 1 / rate))
    widths = np.diff(edges)[:, None]
    bands = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])).astype(np.float32)
    bands *= (2 / (edges[2:] - edges[:-2]))[:, None]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = sliding_window_view(np.pad(mono, n_fft // 2), n_fft)[::hop]
    powers = np.empty((n_bands, len(frames)), np.float32)
    for first in range(0, len(frames), _BLOCK):
        spectra = np.fft.rfft(frames[first : first + _BLOCK] * window).astype(np.complex64)
        powers[:, first : first + _BLOCK] = bands @ np.square(np.abs(spectra)).T
    return powers


def tempo_scores(attack: Floats, frame_rate: float) -> Floats:
    """Return the mean autocorrelation of an attack strength in windows of 8 s, by lag in frames; 1 at lag 0."""
    n = int(_TEMPO_WINDOW_S * frame_rate)
    padded = np.pad(attack, n // 2, mode="linear_ramp")
    frames = sliding_window_view(padded, n)[: len(attack)]
    window, size, total = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n), 1 << (2 * n - 2).bit_length(), np.zeros(n)
    for first in range(0, len(frames), _BLOCK):
        spectra = np.fft.rfft(frames[first : first + _BLOCK] * window, size)
        products = np.fft.irfft(np.square(spectra.real) + np.square(spectra.imag), size)[:, :n]
        largest = np.abs(products).max(axis=1, keepdims=True)
        total += (products / np.where(largest < np.finfo(np.float64).tiny, 1.0, largest)).sum(axis=0)
    return total / len(frames)


def estimate_tempo(scores: Floats, frame_rate: float, start_bpm: float, std_bpm: float) -> float:
    """Return the tempo of the highest score, in beats per minute, with a log-normal prior."""
    bpms = np.concatenate([[np.inf], 60 * frame_rate / np.arange(1.0, len(scores))])
    prior = -0.5 * ((np.log2(bpms) - np.log2(start_bpm)) / std_bpm) ** 2
    prior[: int(np.argmax(bpms < _FASTEST_BPM))] = -np.inf
    return float(bpms[np.argmax(np.log1p(1e6 * scores) + prior)])


def steadiness(scores: Floats, frame_rate: float, bpm: float) -> float:
    """Return how far the score of a tempo exceeds the usual one of lags from 0.3 to 1.5 s: 0 to 1."""
    window = np.hanning(len(scores) + 1)[:-1]
    overlap = np.correlate(window, window, "full")[len(window) - 1 :] / np.square(window).sum()
    level = scores / np.maximum(overlap, 1e-3)  # 1 at all lags for a constant attack strength
    usual = float(np.median(level[int(0.3 * frame_rate) : int(1.5 * frame_rate)]))
    return float(np.clip((level[round(60 * frame_rate / bpm)] - usual) / max(1 - usual, 1e-9), 0, 1))


def track_beats(attack: Floats, frame_rate: float, bpm: float) -> Ints:
    """Return the frames of beats near a tempo: int64 (n_beats,)."""
    period = float(np.round(frame_rate * 60 / bpm))
    normal = (attack / (attack.std(ddof=1) + np.finfo(attack.dtype).tiny)).astype(attack.dtype)
    local = _smooth(normal, period)
    links, scores = _link(local, period)
    # The last beat is the last maximum of at least half the median of all maxima.
    rises = np.flatnonzero((scores[1:] > scores[:-1]) & (np.append(scores[2:], -np.inf) <= scores[1:])) + 1
    enough = rises[scores[rises] >= 0.5 * np.median(scores[rises])] if len(rises) else rises
    frame, beats = int(enough[-1]) if len(enough) else len(scores) - 1, []
    while frame >= 0:
        beats.append(frame)
        frame = int(links[frame])
    found = np.array(beats[::-1], np.int64)
    loud = np.flatnonzero(local > 0)
    return found[(found >= loud[0]) & (found <= loud[-1])] if len(loud) else found[:0]


def _smooth(attack: Floats, period: float) -> Floats:
    """Convolve with a bell of a 32nd of the period, in the order of librosa's sums."""
    window = np.exp(-0.5 * (np.arange(-period, period + 1) * 32 / period) ** 2)
    half, n = len(window) // 2, len(attack)
    padded, local = np.pad(attack.astype(np.float64), half), np.zeros(n)
    for k, weight in enumerate(window):
        local += weight * padded[2 * half - k : 2 * half - k + n]
    return local


def _link(local: Floats, period: float) -> tuple[Ints, Floats]:
    """Link each frame to its best beat before, half to two periods earlier: links, -1 for none, and added scores."""
    n, nearest, furthest = len(local), int(np.round(period / 2)), int(2 * period)
    gaps = np.arange(nearest, furthest + 1)
    costs = _TIGHTNESS * (np.log(gaps) - np.log(period)) ** 2
    links, scores = np.full(n, -1, np.int64), np.full(n + furthest, -np.inf)  # scores begin `furthest` frames early
    for first in range(0, n, nearest):  # no frame of a block is linked to another of it
        last = min(first + nearest, n)
        rows = np.arange(first, last)[:, None] + furthest - gaps
        sums = scores[rows] - costs
        best = sums.argmax(axis=1)
        value = sums[np.arange(last - first), best]
        linked = np.isfinite(value)
        links[first:last] = np.where(linked, np.arange(first, last) - gaps[best], -1)
        scores[furthest + first : furthest + last] = local[first:last] + np.where(linked, value, 0)
    links[: int(np.argmax(local >= 0.01 * local.max()))] = -1
    return links, scores[furthest:]


def find_onsets(attack: Floats, frame_rate: float) -> Ints:
    """Return the frames at which sounds begin: each peak is traced back to the start of its rise."""
    x = attack - attack.min()
    x /= x.max() + np.finfo(x.dtype).tiny
    if not x.any():
        return np.zeros(0, np.int64)
    before, around, wait = int(0.03 * frame_rate), int(0.1 * frame_rate), int(0.03 * frame_rate)
    peaks, i = [], 0
    while i < len(x):
        is_peak = x[i] >= x[max(0, i - before) : i + 1].max()
        if is_peak and x[i] >= x[max(0, i - around) : i + around + 1].mean() + 0.07:
            peaks.append(i)
            i += wait
        i += 1
    minima = np.flatnonzero((x[1:-1] <= x[:-2]) & (x[1:-1] < x[2:])) + 1
    minima = np.unique(np.append(minima, 0))
    return minima[np.searchsorted(minima, np.array(peaks, np.int64), side="right") - 1]
