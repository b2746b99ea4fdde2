"""Closed-form initialization of a codec of magnitudes."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import TINY_CODEC, music
from vampcli.codec.magnitude import MagnitudeCodec, band_sizes
from vampcli.train.codec_init import band_weights, fit


def clips(n: int = 6) -> Iterator[Tensor]:
    for seed in range(n):
        samples = torch.from_numpy(music(2, 44100, 2, seed=seed)).float()
        yield samples[:, : 114 * TINY_CODEC.hop_length]


def fitted(seed: int = 0, latent_dim: int = TINY_CODEC.latent_dim) -> MagnitudeCodec:
    codec = MagnitudeCodec(replace(TINY_CODEC, latent_dim=latent_dim))
    fit(codec, clips(), np.random.default_rng(seed))
    return codec.requires_grad_(False)


@pytest.fixture(scope="module")
def codec() -> MagnitudeCodec:
    return fitted()


def frames(codec: MagnitudeCodec) -> Tensor:
    """float32 (n_frames, n_subframes * n_bands)."""
    bands = [codec.bands(codec.log_magnitude(batch)) for batch in clips()]
    return torch.cat([b.reshape(-1, codec.encoder.rotation.in_features) for b in bands])


def test_all_axes_lose_nothing() -> None:
    n_inputs = TINY_CODEC.n_subframes * len(band_sizes(TINY_CODEC.n_bins, TINY_CODEC.bandwidth))
    codec = fitted(latent_dim=n_inputs)
    x = frames(codec)
    torch.testing.assert_close(codec.decoder.rotation(codec.encoder.rotation(x)), x, atol=1e-3, rtol=0)


def test_kept_axes_are_optimal(codec: MagnitudeCodec) -> None:
    x = frames(codec)
    weighted = (x - x.mean(0)) * band_weights(codec).repeat(TINY_CODEC.n_subframes)
    lost = (x - codec.decoder.rotation(codec.encoder.rotation(x))) * band_weights(codec).repeat(TINY_CODEC.n_subframes)
    singular = torch.linalg.svdvals(weighted.double())  # Eckart and Young: what the best projection must lose
    assert float(lost.square().sum()) == pytest.approx(float(singular[24:].square().sum()), rel=1e-3)
    assert float(lost.square().sum()) < 0.25 * float(weighted.square().sum())


def test_latents_are_centred_and_uncorrelated(codec: MagnitudeCodec) -> None:
    latents = codec.encoder.rotation(frames(codec))
    torch.testing.assert_close(latents.mean(0), torch.zeros(24), atol=1e-4, rtol=0)
    covariance = latents.T @ latents / len(latents)
    torch.testing.assert_close(covariance, covariance.diag().diag(), atol=1e-4, rtol=0)
    assert bool((covariance.diag().diff() <= 0).all())
    assert 0.75 < float(covariance.trace()) <= 1


def test_levels_reduce_the_residual(codec: MagnitudeCodec) -> None:
    latents = codec.encoder.rotation(frames(codec)).T[None]
    codes = codec.quantizer.encode(latents)
    left = [float(latents.square().mean())]
    left += [float((latents - codec.quantizer.decode(codes[:, :n])).square().mean()) for n in range(1, 6)]
    assert all(after < 0.95 * before for before, after in itertools.pairwise(left))
    assert left[-1] < 0.4 * left[0]
    assert min(len(level.unique()) for level in codes[0]) > 0.8 * TINY_CODEC.codebook_size


def test_fit_depends_on_its_rng(codec: MagnitudeCodec) -> None:
    again, other = fitted(), fitted(seed=1)
    for part in ("encoder.rotation", "decoder.rotation", "quantizer"):
        one, same = (c.get_submodule(part).state_dict() for c in (codec, again))
        assert all(torch.equal(tensor, same[name]) for name, tensor in one.items())
    assert not torch.equal(other.codebooks, codec.codebooks)
    assert torch.equal(other.encoder.rotation.weight, codec.encoder.rotation.weight)


def test_weights_of_bands(codec: MagnitudeCodec) -> None:
    weight = band_weights(codec)
    sizes = band_sizes(TINY_CODEC.n_bins, TINY_CODEC.bandwidth)
    assert float(weight.mean()) == pytest.approx(1)
    single = weight[: sizes.index(2)]  # bands of one bin: the higher, the fewer mels
    assert bool((single.diff() < 0).all())
