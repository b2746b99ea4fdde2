"""The tagging network on small made-up weights, its file format, and the distance between sets."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from vampcli.errors import ModelError
from vampcli.evaluate import musicnn
from vampcli.evaluate.bundle import read_bundle
from vampcli.evaluate.frechet import frechet_distance

N_BANDS = 12
LOUDEST = [(0, 6, 5.054, 4.159), (10, 21, 5.567, 4.138), (30, 47, 5.353, 2.117), (50, 61, 5.312, 1.108)]
# frame of the chirp, loudest band, its value, that of the band two above


def small_weights(n_bands: int = N_BANDS, seed: int = 0) -> dict[str, torch.Tensor]:
    """The network with few channels: the same layers, so that every path is the real one."""
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
    """One patch (n_frames, n_bands) through the layers as the package's `models.py` states them, in numpy."""
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


def test_the_network_equals_its_layers_spelt_out() -> None:
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


def test_only_the_first_patch_counts() -> None:
    weights = small_weights(96)
    clip = torch.randn(musicnn.PATCH + 4000, generator=torch.Generator().manual_seed(0))
    changed = clip.clone()
    changed[musicnn.PATCH :] = 0
    a, b = musicnn.embed(weights, torch.stack([clip, changed]))
    assert torch.equal(a, b)


@pytest.mark.skipif(importlib.util.find_spec("musicnn") is None, reason="needs the package musicnn")
def test_embedding_of_the_real_weights() -> None:
    """Golden: an independent version that agrees with TensorFlow 2.15 within 2e-6."""
    (found,) = musicnn.embed(musicnn.load_weights(), chirp().repeat(4)[None])
    assert found.shape == (200,)
    assert found[:5].tolist() == pytest.approx([-0.17718, -0.12703, -0.28483, -0.27512, 0.46843], abs=1e-3)


def test_tags_are_logistic_in_the_embedding() -> None:
    weights = {"dense_1/kernel": torch.eye(3), "dense_1/bias": torch.tensor([0.0, 1.0, -1.0])}
    assert musicnn.tags(weights, torch.zeros(1, 3))[0].tolist() == pytest.approx([0.5, 0.7311, 0.2689], abs=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("musicnn") is None, reason="needs the package musicnn")
def test_tags_of_the_real_weights() -> None:
    """A rising tone alone is electronic rather than an opera."""
    weights, names = musicnn.load_weights("MTT_musicnn"), musicnn.load_tag_names("MTT_musicnn")
    (found,) = musicnn.tags(weights, musicnn.embed(weights, chirp().repeat(4)[None]))
    assert len(names) == len(found) == 50
    likely = dict(zip(names, found.tolist(), strict=True))
    assert likely["electronic"] > 5 * likely["opera"]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        musicnn.load_weights()
    assert caught.value.hint == "pip install --no-deps musicnn"


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def write_bundle(prefix: str, tensors: dict[str, np.ndarray]) -> None:
    """A checkpoint as TensorFlow writes it: names share their starts, sums and a restart list follow."""
    data, entries, last = b"", [(b"", field(1, 1))], b""
    for name, tensor in sorted(tensors.items()):
        dims = b"".join(field(2, field(1, n)) for n in tensor.shape)
        kind = {"float32": 1, "int64": 9}[tensor.dtype.name]
        raw = tensor.tobytes()
        entry = field(1, kind) + field(2, dims) + field(4, len(data)) + field(5, len(raw))
        entries.append((name.encode(), entry + varint(6 << 3 | 5) + b"\0\0\0\0"))  # field 6: a checksum
        data += raw
    body = b""
    for key, value in entries:
        n = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        body += varint(n) + varint(len(key) - n) + varint(len(value)) + key[n:] + value
        last = key
    restarts = struct.pack("<II", 0, 1)
    block = body + restarts
    handle = varint(0) + varint(len(block))
    top = varint(0) + varint(1) + varint(len(handle)) + b"z" + handle + restarts
    index = block + b"\0" * 5
    at = len(index)
    footer = varint(0) + varint(0) + varint(at) + varint(len(top))
    index += top + b"\0" * 5 + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    Path(f"{prefix}.index").write_bytes(index)
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)


def test_bundles_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"dense/bias": (3,), "dense/kernel": (2, 70), "dense_1/kernel": (1, 2, 3, 4), "scalar": ()}
    tensors = {name: np.asarray(rng.standard_normal(shape), np.float32) for name, shape in shapes.items()}
    write_bundle(f"{tmp_path}/", {**tensors, "step": np.array(7)})
    found = read_bundle(f"{tmp_path}/")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    for end in (".index", ".data-00000-of-00001"):
        (tmp_path / f"a{end}").write_bytes(b"0123456789" * 10)
    with pytest.raises(ValueError, match="is no table"):
        read_bundle(f"{tmp_path}/a")


def test_frechet_distance_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, 6)), 2 * rng.standard_normal((40, 6)) @ rng.standard_normal((6, 6)) + 1
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    wanted = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * np.real(sqrtm(cov_a @ cov_b)))
    assert frechet_distance(a, b) == pytest.approx(wanted)
    assert frechet_distance(b, a) == pytest.approx(wanted)


def test_frechet_distance_of_fewer_items_than_dimensions() -> None:
    a = np.random.default_rng(0).standard_normal((5, 30))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * 30)
