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
    changes = [
        (codec.decode_log_magnitude(a) - codec.decode_log_magnitude(b)).clamp(_LEAST_CHANGE, _MOST_CHANGE)
        for a, b in zip(made, original, strict=True)
    ]
    spectrum = codec.stft.spectrum(source)
    magnitude = spectrum.abs() * 10 ** (edit * torch.stack(changes))
    direction = torch.sgn(spectrum)
    for _ in range(_N_PHASE_STEPS):
        direction = torch.sgn(codec.stft.spectrum(codec.stft.waveform(magnitude * direction)))
    energy, edited_energy = spectrum.abs().square().sum(), magnitude.square().sum()
    scale = (energy / edited_energy.clamp(min=1e-12)).sqrt()
    return codec.stft.waveform(magnitude * direction) * scale
