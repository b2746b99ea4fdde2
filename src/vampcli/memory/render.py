"""Guided rendering: change a recorded place by as much as generated tokens differ from its own tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from vampcli.codec.base import Codec

_LEAST_CHANGE, _MOST_CHANGE = -1.5, 1.0  # log10
_N_PHASE_STEPS = 2


def edit_audio(codec: Codec, source: Tensor, made: Tensor, original: Tensor, edit: float) -> Tensor:
    """Change the spectrum of a place by the difference between two token sequences.

    With A and B the log10 magnitudes of the made tokens and of the place's own tokens, and S its spectrum:
    |Y| = |S| 10^(edit clip(A - B)). Phases start from those of S and are made consistent by Griffin-Lim iterations; the
    result has the energy of the source. Equal tokens return the source up to rounding.

    Args:
        codec: decodes the tokens.
        source: float32 (n_channels, n_frames * hop_length).
        made: int64 (n_model_channels, n_codebooks, n_frames), one model channel for all or one for each.
        original: the same shape: tokens of the source.
        edit: 0 = the source itself, 1 = all of the difference.

    Returns:
        float32 (n_channels, n_frames * hop_length).
    """
    # In place where possible, and one channel after another where large copies are made: spectra take much memory.
    spectrum = torch.cat([codec.stft.spectrum(channel[None]) for channel in source])
    magnitude = spectrum.abs()
    energy = magnitude.square().sum()
    for i, (a, b) in enumerate(zip(made, original, strict=True)):
        change = codec.decode_log_magnitude(a)
        change.sub_(codec.decode_log_magnitude(b)).clamp_(_LEAST_CHANGE, _MOST_CHANGE).mul_(edit)
        (magnitude if len(made) == 1 else magnitude[i]).mul_(torch.pow(10, change, out=change))
    scale = (energy / magnitude.square().sum().clamp(min=1e-12)).sqrt()
    for _ in range(_N_PHASE_STEPS):
        _set_magnitude(spectrum, magnitude)
        for i, product in enumerate(spectrum):
            spectrum[i] = codec.stft.spectrum(codec.stft.waveform(product[None]))[0]
    _set_magnitude(spectrum, magnitude)
    return torch.cat([codec.stft.waveform(product[None]) for product in spectrum]) * scale


def _set_magnitude(spectrum: Tensor, magnitude: Tensor) -> None:
    """Give a complex spectrum a magnitude in place, and keep its phases."""
    torch.view_as_real(spectrum.sgn_()).mul_(magnitude[..., None])  # as real numbers: no complex copy of the magnitude
