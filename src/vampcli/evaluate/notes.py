"""Notes of a recording, as a small network transcribes them: the package basic-pitch, whose weights are inside.

Source: Bittner et al., "A Lightweight Instrument-Agnostic Model for Polyphonic Note Transcription" (arXiv 2203.09893).
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vampcli.audio.io import write
from vampcli.audio.waveform import Samples, Waveform
from vampcli.evaluate.packages import needed

NEEDS = ("basic_pitch", "onnxruntime", "pretty_midi", "resampy")
"""Packages that it takes; the last two are only imported by the first."""

_ALONE = threading.Lock()  # stdout is that of all threads
_LEAST_S = 0.5  # of sound; the network listens to 2 s at a time


def note_f1(made: Samples, target: Samples, sample_rate: int) -> float | None:
    """F1 of notes, right if pitch (50 cents) and attack (50 ms) are; None where the target has no note.

    Args:
        made: float32 (n_samples,).
        target: the same.
        sample_rate: in Hz.
    """
    mir_eval = needed("mir_eval")
    (target_times, target_hz), (made_times, made_hz) = (transcribed(x, sample_rate) for x in (target, made))
    if not len(target_hz):
        return None
    if not len(made_hz):
        return 0.0
    score = mir_eval.transcription.precision_recall_f1_overlap(
        target_times, target_hz, made_times, made_hz, offset_ratio=None
    )
    return float(score[2])


def transcribed(samples: Samples, sample_rate: int) -> tuple[Any, Any]:
    """Transcribe: float32 (n_samples,) -> seconds, float64 (n_notes, 2), from attack to end; and Hz, (n_notes,)."""
    if len(samples) < _LEAST_S * sample_rate:
        return np.zeros((0, 2)), np.zeros(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        write(path, Waveform(samples[None], sample_rate), "FLOAT")
        with _ALONE, contextlib.redirect_stdout(io.StringIO()):  # it prints
            inference, network = _network()
            _, _, found = inference.predict(path, network)
    found = sorted(found)
    times = np.array([[start, max(end, start + 1e-3)] for start, end, *_ in found]).reshape(-1, 2)
    hz = 440.0 * 2.0 ** ((np.array([pitch for _, _, pitch, *_ in found], dtype=float) - 69) / 12)
    return times, hz


@lru_cache
def _network() -> tuple[Any, Any]:
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it warns of every other way to run its network
    try:
        inference, package = needed("basic_pitch.inference"), needed("basic_pitch")
    finally:
        logging.root.setLevel(level)
    onnx = Path(package.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
    return inference, inference.Model(onnx)
