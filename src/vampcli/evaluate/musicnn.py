"""What music sounds like to a network that learned to tag it: embeddings of patches of 3 s.

The weights are those inside the package `musicnn`, which is read and never imported: it needs an old TensorFlow.

Source: Pons and Serra, "musicnn" (arXiv 1909.06654); the graph is that of the package's `models.py`.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
import torchaudio.functional
from torch import Tensor

from vampcli.errors import ModelError
from vampcli.evaluate.bundle import read_bundle

RATE = 16000
PATCH_FRAMES = 187
_N_FFT, _HOP, _N_MELS = 512, 256, 96
PATCH = PATCH_FRAMES * _HOP
"""Samples at 16 kHz of one patch, 2.99 s."""

_INSTALL = "pip install --no-deps musicnn==0.1.0"
_TIMBRAL, _TEMPORAL = (0, 1), (2, 3, 4)  # convolutions over time and frequency, and over time alone


def load_weights(name: str = "MSD_musicnn") -> dict[str, Tensor]:
    """Read the weights of the installed package.

    Args:
        name: MSD_musicnn or MTT_musicnn, after the data they learned from.

    Raises:
        ModelError: the package is missing or other than expected.
    """
    folder = _package() / name
    try:
        tensors = read_bundle(f"{folder}/")
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(f"cannot read {folder}: {error}", _INSTALL) from error
    return {key: torch.from_numpy(value.copy()) for key, value in tensors.items() if "Adam" not in key}


def _package() -> Path:
    """The folder of the installed package."""
    spec = importlib.util.find_spec("musicnn")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("the package musicnn is not installed", "pip install --no-deps musicnn")
    return Path(spec.submodule_search_locations[0])


def log_mel(samples: Tensor) -> Tensor:
    """What the network sees: float32 (batch, n_samples) at 16 kHz -> (batch, n_samples // 256 + 1, 96).

    Rounded to float16 in between, as where the network learned.
    """
    window = torch.hann_window(_N_FFT)
    spectrum = torch.stft(samples, _N_FFT, _HOP, window=window, pad_mode="constant", return_complex=True)
    filters = torchaudio.functional.melscale_fbanks(
        _N_FFT // 2 + 1, 0.0, RATE / 2, _N_MELS, RATE, norm="slaney", mel_scale="slaney"
    )
    mel = spectrum.abs().square().transpose(1, 2) @ filters
    logs: Tensor = (10000 * mel.half().float() + 1).log10()
    return logs


def penultimate(weights: Mapping[str, Tensor], patches: Tensor) -> Tensor:
    """The layer before the tags: float32 (batch, n_frames, 96) -> (batch, 200)."""
    x = _norm(weights, patches[:, None], 0)
    # Timbre: patterns over time and most of the frequencies. Rhythm: over time, one frequency each.
    paddings = {0: (3, 3), 1: (3, 3), 2: (63, 64), 3: (31, 32), 4: (15, 16)}  # as TensorFlow pads to "same"
    fronts = [_norm(weights, _conv(weights, x, n, paddings[n]), n + 1).amax(3) for n in _TIMBRAL + _TEMPORAL]
    front = torch.cat(fronts, 1)
    first = _middle(weights, front, 5)
    second = first + _middle(weights, first, 6)
    third = second + _middle(weights, second, 7)
    features = torch.cat([front, first, second, third], 1)
    pooled = torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)
    dense = _norm(weights, pooled, 9) @ weights["dense/kernel"] + weights["dense/bias"]
    return _norm(weights, dense.relu(), 10)


def _name(kind: str, n: int) -> str:
    return f"{kind}_{n}" if n else kind


def _conv(weights: Mapping[str, Tensor], x: Tensor, n: int, padding: tuple[int, int]) -> Tensor:
    """Convolve (batch, 1, n_frames, width), padded in time: -> (batch, channels, n_frames, width left)."""
    name = _name("conv2d", n)
    kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1)
    return F.conv2d(F.pad(x, (0, 0, *padding)), kernel, weights[f"{name}/bias"]).relu()


def _middle(weights: Mapping[str, Tensor], x: Tensor, n: int) -> Tensor:
    """Convolve over time, all channels at once: (batch, channels, n_frames) -> (batch, 64, n_frames)."""
    return _norm(weights, _conv(weights, x.transpose(1, 2)[:, None], n, (3, 3)), n + 1)[..., 0]


def _norm(weights: Mapping[str, Tensor], x: Tensor, n: int) -> Tensor:
    name = _name("batch_normalization", n)
    mean, variance, gain, shift = (
        weights[f"{name}/{key}"] for key in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return F.batch_norm(x, mean, variance, gain, shift, eps=1e-3)


def embed(weights: Mapping[str, Tensor], samples: Tensor) -> Tensor:
    """Embed one patch of each clip.

    Args:
        weights: from `load_weights`.
        samples: float32 (n_clips, `PATCH` or more samples) at 16 kHz; the first `PATCH_FRAMES` frames count.

    Returns:
        float32 (n_clips, 200).
    """
    with torch.no_grad():
        return torch.cat([penultimate(weights, log_mel(clip[None])[:, :PATCH_FRAMES]) for clip in samples])


def tags(weights: Mapping[str, Tensor], embeddings: Tensor) -> Tensor:
    """How likely each tag is: what `embed` gives, float32 (n_clips, 200) -> (n_clips, n_tags), 0 to 1."""
    return (embeddings @ weights["dense_1/kernel"] + weights["dense_1/bias"]).sigmoid()


def load_tag_names(name: str = "MTT_musicnn") -> list[str]:
    """The names of the tags, from the installed package, which is read and not imported.

    Args:
        name: as in `load_weights`.

    Raises:
        ModelError: the package is missing or other than expected.
    """
    wanted = f"{name.partition('_')[0]}_LABELS"
    path = _package() / "configuration.py"
    try:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == wanted:
                return list(ast.literal_eval(node.value))
    except (OSError, ValueError, SyntaxError) as error:
        raise ModelError(f"cannot read {path}: {error}", _INSTALL) from error
    raise ModelError(f"{path} has no {wanted}", _INSTALL)
