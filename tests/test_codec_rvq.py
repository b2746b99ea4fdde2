"""The quantiser against that of descript-audio-codec."""

import warnings
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from vampcli.codec.rvq import ResidualVectorQuantizer

LATENT_DIM, N_CODEBOOKS, SIZE, DIM = 24, 5, 64, 8


@pytest.fixture(scope="module")
def dac_quantize() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("dac")
        from dac.nn import quantize
    return quantize


@pytest.fixture
def theirs(dac_quantize: ModuleType) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return dac_quantize.ResidualVectorQuantize(LATENT_DIM, N_CODEBOOKS, SIZE, DIM, quantizer_dropout=0.5).eval()


def folded(conv: Any) -> Tensor:
    """A weight-normed weight: the direction v of every output channel scaled to the length g."""
    length = conv.weight_v.detach().pow(2).sum(dim=(1, 2), keepdim=True).sqrt()
    return conv.weight_g.detach() * conv.weight_v.detach() / length


@pytest.fixture
def ours(theirs: Any) -> ResidualVectorQuantizer:
    quantizer = ResidualVectorQuantizer(LATENT_DIM, N_CODEBOOKS, SIZE, DIM)
    for i, level in enumerate(theirs.quantizers):
        quantizer.codebooks.data[i] = level.codebook.weight.detach()
        for own, foreign in zip(quantizer.projections(i), (level.in_proj, level.out_proj), strict=True):
            own.weight.data = folded(foreign)
            own.bias.data = foreign.bias.detach().clone()
    return quantizer


def random_latents(n_batch: int = 4, n_frames: int = 30) -> Tensor:
    return torch.randn(n_batch, LATENT_DIM, n_frames, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("n_levels", [1, 3, N_CODEBOOKS])
def test_decoded_latents_equal_dac(ours: ResidualVectorQuantizer, theirs: Any, n_levels: int) -> None:
    codes = torch.randint(SIZE, (2, n_levels, 20), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ours.decode(codes), theirs.from_codes(codes)[0], atol=1e-5, rtol=0)


def test_training_pass_equals_dac(ours: ResidualVectorQuantizer, theirs: Any) -> None:
    theirs.train()
    torch.manual_seed(3)
    latents, codes, _, commitment, codebook = theirs(random_latents())
    torch.manual_seed(3)  # dac draws one number for every clip and uses it for the first half of them
    n_active = torch.randint(1, N_CODEBOOKS + 1, (4,))
    n_active[2:] = N_CODEBOOKS
    assert int(n_active.min()) < N_CODEBOOKS
    result = ours(random_latents(), n_active)
    assert torch.equal(result.codes, codes)
    torch.testing.assert_close(result.latents, latents, atol=1e-5, rtol=0)
    torch.testing.assert_close(result.commitment_loss, commitment, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(result.codebook_loss, codebook, atol=1e-5, rtol=1e-5)


def test_gradients_equal_dac(ours: ResidualVectorQuantizer, theirs: Any) -> None:
    gradients = []
    for quantizer in (ours, theirs):
        x = random_latents().requires_grad_()
        out = quantizer(x)
        latents, losses = (out[0], out[2:]) if quantizer is ours else (out[0], out[3:])
        (latents.square().mean() + 0.25 * losses[0] + losses[1]).backward()
        assert x.grad is not None
        gradients.append(x.grad)
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("loss", "trains_input"), [("commitment_loss", True), ("codebook_loss", False)])
def test_each_loss_trains_one_side(loss: str, trains_input: bool) -> None:
    quantizer = ResidualVectorQuantizer(LATENT_DIM, 1, SIZE, DIM)
    quantizer.codebooks.data.normal_()
    x = random_latents().requires_grad_()
    sides = torch.autograd.grad(getattr(quantizer(x), loss), (x, quantizer.codebooks), allow_unused=True)
    assert [side is not None and bool(side.any()) for side in sides] == [trains_input, not trains_input]


def test_inactive_levels_add_nothing(ours: ResidualVectorQuantizer) -> None:
    n_active = torch.tensor([1, 2, 4, N_CODEBOOKS])
    x = random_latents()
    result = ours(x, n_active)
    for clip, n in enumerate(n_active.tolist()):
        shorter = ours.decode(result.codes[clip : clip + 1, :n])
        torch.testing.assert_close(result.latents[clip : clip + 1], shorter, atol=1e-5, rtol=0)
    assert torch.equal(result.codes, ours.encode(x))


def test_one_level_round_trip() -> None:
    quantizer = ResidualVectorQuantizer(DIM, 1, SIZE, DIM)
    quantizer.codebooks.data.normal_()
    for conv in quantizer.projections(0):
        conv.weight.data = torch.eye(DIM)[:, :, None]
        conv.bias.data.zero_()
    codes = torch.arange(SIZE).view(1, 1, -1)
    assert torch.equal(quantizer.encode(quantizer.decode(codes)), codes)


def test_look_up_by_distance() -> None:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(LATENT_DIM, N_CODEBOOKS, SIZE, DIM, by_direction=False)
    quantizer.codebooks.data.normal_().mul_(torch.rand(SIZE, 1) * 2)  # of different lengths: nearest is not alike
    x = random_latents(2, 10)
    with torch.no_grad():
        codes = quantizer.encode(x)
        for clip in range(2):
            for frame in range(10):
                residual = x[clip, :, frame]
                for level in range(N_CODEBOOKS):
                    into, out = quantizer.projections(level)
                    point = into.weight[:, :, 0] @ residual + into.bias
                    distances = [float((point - row).norm()) for row in quantizer.codebooks[level]]
                    nearest = min(range(SIZE), key=distances.__getitem__)
                    assert int(codes[clip, level, frame]) == nearest
                    residual = residual - out.weight[:, :, 0] @ quantizer.codebooks[level, nearest] - out.bias
        quantizer.by_direction = True
        assert not torch.equal(quantizer.encode(x)[:, 0], codes[:, 0])
