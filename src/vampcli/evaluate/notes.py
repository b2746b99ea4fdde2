"""Transcription of notes with the package basic-pitch, which holds its weights.

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

NEEDS = ("basic_pitch", "onnxruntime", "pretty_midi", "resampy")
"""Packages that transcription needs; basic-pitch imports the last two."""

_STDOUT_LOCK = threading.Lock()  # all threads share stdout
_SHORTEST_S = 0.5  # of sound; the network's input is 2 s long


def note_f1(made: Samples, target: Samples, sample_rate: int) -> float | None:
    """Return the F1 of notes, correct if pitch (50 cents) and onset (50 ms) are; None if the target has no note.

    Args:
        made: float32 (n_samples,).
        target: float32 (n_samples,).
        sample_rate: in Hz.
    """
    import mir_eval

    (target_times, target_hz), (made_times, made_hz) = (transcribe(x, sample_rate) for x in (target, made))
    if not len(target_hz):
        return None
    if not len(made_hz):
        return 0.0
    score = mir_eval.transcription.precision_recall_f1_overlap(
        target_times, target_hz, made_times, made_hz, offset_ratio=None
    )
    return float(score[2])


def transcribe(samples: Samples, sample_rate: int) -> tuple[Any, Any]:
    """Return the notes of float32 (n_samples,): onset and end in seconds, float64 (n_notes, 2), and Hz, (n_notes,)."""
    if len(samples) < _SHORTEST_S * sample_rate:
        return np.zeros((0, 2)), np.zeros(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.wav")
        write(path, Waveform(samples[None], sample_rate), "FLOAT")
        with _STDOUT_LOCK, contextlib.redirect_stdout(io.StringIO()):  # basic-pitch prints
            inference, network = _network()
            _, _, found = inference.predict(path, network)
    found = sorted(found)
    times = np.array([[start, max(end, start + 1e-3)] for start, end, *_ in found]).reshape(-1, 2)
    hz = 440.0 * 2.0 ** ((np.array([pitch for _, _, pitch, *_ in found], dtype=float) - 69) / 12)
    return times, hz


@lru_cache
def _network() -> tuple[Any, Any]:
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # basic-pitch warns of every runtime that is not installed
    try:
        import basic_pitch
        from basic_pitch import inference
    finally:
        logging.root.setLevel(level)
    onnx = Path(basic_pitch.__file__).parent / "saved_models/icassp_2022/nmp.onnx"
    return inference, inference.Model(onnx)
