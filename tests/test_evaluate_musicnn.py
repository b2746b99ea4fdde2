"""musicnn, layer by layer and with its weights, and the Fréchet distance."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from vampcli.evaluate import musicnn
from vampcli.evaluate.frechet import Normal

N_BANDS = 12
LOUDEST = [(0, 6, 5.054, 4.159), (10, 21, 5.567, 4.138), (30, 47, 5.353, 2.117), (50, 61, 5.312, 1.108)]
# frame of the chirp, loudest band, its value, that of the band two above


def small_weights(n_bands: int = N_BANDS, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights of the same layers with few channels."""
    rng = np.random.default_rng(seed)
    fronts = [(7, int(0.4 * n_bands)), (7, int(0.7 * n_bands)), (128, 1), (64, 1), (32, 1)]
    shapes: dict[str, tuple[int, ...]] = {}
    for n, (length, height) in enumerate(fronts):
        shapes[f"conv2d{f'_{n}' if n else ''}/kernel"] = (length, height, 1, 2)
    shapes |= {f"conv2d_{n}/kernel": (7, width, 1, 4) for n, width in ((5, 10), (6, 4), (7, 4))}
    shapes |= {"dense/kernel": (2 * 22, 5)}
    tensors = {name: 0.2 * rng.standard_normal(shape) for name, shape in shapes.items()}
    tensors |= {k.replace("kernel", "bias"): 0.1 * rng.standard_normal(v.shape[-1]) for k, v in tensors.items()}
    for n, size in enumerate((1, 2, 2, 2, 2, 2, 4, 4, 4, 2 * 22, 5)):
        for key in ("moving_mean", "moving_variance", "gamma", "beta"):
            tensors[f"batch_normalization{f'_{n}' if n else ''}/{key}"] = rng.uniform(0.5, 1.5, size)
    return {name: torch.from_numpy(value).float() for name, value in tensors.items()}


def obvious_penultimate(weights: dict[str, torch.Tensor], x: np.ndarray) -> np.ndarray:
    """The layers of the package's `models.py` in numpy: (n_frames, n_bands) -> (5,)."""
    w = {name: tensor.numpy().astype(np.float64) for name, tensor in weights.items()}

    def norm(y: np.ndarray, n: int) -> np.ndarray:  # over the last axis
        mean, variance, gain, shift = (
            w[f"batch_normalization{f'_{n}' if n else ''}/{key}"]
            for key in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return (y - mean) / np.sqrt(variance + 1e-3) * gain + shift

    def conv(y: np.ndarray, n: int) -> np.ndarray:  # "same" over time as TensorFlow has it, "valid" over bands
        kernel, bias = (w[f"conv2d{f'_{n}' if n else ''}/{key}"] for key in ("kernel", "bias"))
        length, height = kernel.shape[:2]
        padded = np.pad(y, (((length - 1) // 2, length // 2), (0, 0)))
        out = np.zeros((len(y), y.shape[1] - height + 1, kernel.shape[3]))
        for t in range(out.shape[0]):
            for f in range(out.shape[1]):
                out[t, f] = np.tensordot(padded[t : t + length, f : f + height], kernel[:, :, 0], 2) + bias
        return np.maximum(out, 0)

    x = norm(x[..., None], 0)[..., 0]
    front = np.concatenate([norm(conv(x, n), n + 1).max(1) for n in range(5)], 1)
    first = norm(conv(front, 5)[:, 0], 6)
    second = norm(conv(first, 6)[:, 0], 7) + first
    third = norm(conv(second, 7)[:, 0], 8) + second
    features = np.concatenate([front, first, second, third], 1)
    flat = np.stack([features.max(0), features.mean(0)], 1).ravel()
    return norm(np.maximum(norm(flat, 9) @ w["dense/kernel"] + w["dense/bias"], 0), 10)


def test_network_equals_numpy_version() -> None:
    weights = small_weights()
    patches = np.random.default_rng(1).uniform(0, 4, (2, 20, N_BANDS))
    ours = musicnn.penultimate(weights, torch.from_numpy(patches).float()).numpy()
    assert ours == pytest.approx(np.stack([obvious_penultimate(weights, p) for p in patches]), abs=1e-4)


def chirp() -> torch.Tensor:
    t = np.arange(16000) / 16000
    return torch.from_numpy(0.3 * np.sin(2 * np.pi * (200 * t + 1500 * t * t))).float()


def test_log_mel_equals_librosa() -> None:
    """Golden: log10(10000 m + 1), m = librosa 0.11 melspectrogram(sr=16000, n_fft=512, hop_length=256, n_mels=96)."""
    mel = musicnn.log_mel(chirp()[None])[0]
    assert mel.shape == (63, 96)
    assert [(f, int(mel[f].argmax())) for f, *_ in LOUDEST] == [(f, band) for f, band, *_ in LOUDEST]
    found = [[float(mel[f, band]), float(mel[f, band + 2])] for f, band, *_ in LOUDEST]
    assert np.array(found) == pytest.approx(np.array([values for _, _, *values in LOUDEST]), abs=2e-3)


def test_samples_after_first_patch_ignored() -> None:
    weights = small_weights(96)
    clip = torch.randn(musicnn.PATCH + 4000, generator=torch.Generator().manual_seed(0))
    changed = clip.clone()
    changed[musicnn.PATCH :] = 0
    a, b = musicnn.embed(weights, torch.stack([clip, changed]))
    assert torch.equal(a, b)


def test_embedding_with_the_shipped_weights() -> None:
    """Golden: an independent version that agrees with TensorFlow 2.15 within 2e-6."""
    (found,) = musicnn.embed(musicnn.load_weights(), chirp().repeat(4)[None])
    assert found.shape == (200,)
    assert found[:5].tolist() == pytest.approx([-0.17718, -0.12703, -0.28483, -0.27512, 0.46843], abs=1e-4)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return Normal.of(a).distance(Normal.of(b))


def test_frechet_distance_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, 6)), 2 * rng.standard_normal((40, 6)) @ rng.standard_normal((6, 6)) + 1
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert distance(a, b) == pytest.approx(expected)
    assert distance(b, a) == pytest.approx(expected)


def test_frechet_distance_of_few_items() -> None:
    a = np.random.default_rng(0).standard_normal((5, 30))
    assert distance(a, a) == pytest.approx(0, abs=1e-5)
    assert distance(a, a + 2) == pytest.approx(4 * 30)
