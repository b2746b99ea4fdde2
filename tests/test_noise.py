"""Noise is a function of its keys, and good noise."""

import math

import numpy as np
import pytest
import torch

import oracles
from vampcli.tokens import noise
from vampcli.tokens.noise import Stage, Stream, white_noise

EDGES = [0, 1, 2, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]


def positions(n_frames: int, n_codebooks: int) -> tuple[torch.Tensor, torch.Tensor]:
    frames = torch.arange(n_frames).repeat_interleave(n_codebooks)
    return frames, torch.arange(n_codebooks).repeat(n_frames)


def int32(words: list[int]) -> torch.Tensor:
    """Words without a sign as int32."""
    return torch.tensor(words, dtype=torch.int64).to(torch.int32)


def words_of(
    seed: int, stage: Stage, stream: Stream, step: int, frames: torch.Tensor, codebooks: torch.Tensor
) -> torch.Tensor:
    takes = noise.take_words([seed], stage, stream, step, frames.device)
    return noise.token_words(takes.expand(len(frames)), frames, codebooks)


def draw_noise(
    seed: int, stage: Stage, step: int, frames: torch.Tensor, codebooks: torch.Tensor, n_classes: int
) -> torch.Tensor:
    return noise.draw_noise(words_of(seed, stage, Stream.DRAW, step, frames, codebooks), n_classes)


def hide_noise(seed: int, stage: Stage, step: int, frames: torch.Tensor, codebooks: torch.Tensor) -> torch.Tensor:
    return noise.hide_noise(words_of(seed, stage, Stream.HIDE, step, frames, codebooks))


def test_hash_is_lowbias32() -> None:
    words = EDGES + np.random.default_rng(0).integers(0, 2**32, 2000).tolist()
    expected = [oracles.lowbias32(word) for word in words]
    assert torch.equal(noise._mix(int32(words)), int32(expected))
    assert [noise._mix_int(word) for word in words] == expected


@pytest.mark.parametrize("seed", [0, 7, -1, 2**40 + 3, 10**30])
@pytest.mark.parametrize("frame", [0, 5, 2**31 - 1, 2**33 + 8, -3])
def test_uniform_numbers_hash_their_counters(seed: int, frame: int) -> None:
    key = {"seed": seed, "stage": Stage.FINE, "step": 35, "frame": frame, "codebook": 13}
    at = (torch.tensor([frame]), torch.tensor([13]))
    drawing, hiding = (words_of(seed, Stage.FINE, stream, 35, *at) for stream in Stream)
    by_class = [oracles.unit(stream=Stream.DRAW, cls=cls, **key) for cls in range(40)]
    assert noise._unit(noise._class_words(drawing, 40))[0].tolist() == by_class
    assert noise._unit(noise._mix(hiding)).tolist() == [oracles.unit(stream=Stream.HIDE, cls=None, **key)]


def test_noise_of_old_recipes() -> None:
    at = (torch.tensor([5, 1000]), torch.tensor([1, 3]))
    drawn = [[-1.343901, 0.151465, 0.26467], [-0.488366, 0.056493, -1.008387]]
    torch.testing.assert_close(draw_noise(7, Stage.COARSE, 2, *at, 3), torch.tensor(drawn), atol=2e-6, rtol=0)
    torch.testing.assert_close(hide_noise(7, Stage.FINE, 2, *at), torch.tensor([5.228739, 0.92906]), atol=2e-6, rtol=0)


def test_arguments_are_not_changed() -> None:
    words = int32(EDGES)
    noise.draw_noise(words, 5)
    noise.hide_noise(words)
    assert torch.equal(words, int32(EDGES))


@pytest.mark.parametrize("word", EDGES)
def test_every_word_gives_finite_noise(word: int) -> None:
    u = noise._unit(int32([word]))
    assert 0 < float(u) < 1
    assert torch.isfinite(noise._gumbel(int32([word]))).all()


def test_gumbel_of_words() -> None:
    words = int32([0, 2**31, 3 * 2**30])
    expected = [-math.log(-math.log(u)) for u in (0.5 / 2**24, 0.5, 0.75)]
    assert noise._gumbel(words).tolist() == pytest.approx(expected, rel=1e-4)


def test_noise_depends_on_keys_alone() -> None:
    frames, codebooks = positions(50, 4)
    together = draw_noise(3, Stage.COARSE, 5, frames, codebooks, 64)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw_noise(3, Stage.COARSE, 5, frames[order], codebooks[order], 64), together[order])
    assert torch.equal(draw_noise(3, Stage.COARSE, 5, frames[77:78], codebooks[77:78], 64), together[77:78])
    assert torch.equal(draw_noise(3, Stage.COARSE, 5, frames, codebooks, 1024)[:, :64], together)
    hiding = hide_noise(3, Stage.COARSE, 5, frames, codebooks)
    assert torch.equal(hide_noise(3, Stage.COARSE, 5, frames[60:61], codebooks[60:61]), hiding[60:61])
    assert correlation(together[:, 0], hiding) < 0.2


@pytest.mark.parametrize(
    ("seed", "stage", "step", "frame", "codebook"),
    [
        (8, 0, 2, 5, 1),
        (7 + 2**32, 0, 2, 5, 1),
        (-7, 0, 2, 5, 1),
        (7, 1, 2, 5, 1),
        (7, 0, 3, 5, 1),
        (7, 0, 2, 6, 1),
        (7, 0, 2, -5, 1),
        (7, 0, 2, 5, 2),
        (7, 0, 5, 2, 1),
    ],
)
def test_other_keys_have_other_numbers(seed: int, stage: int, step: int, frame: int, codebook: int) -> None:
    here = draw_noise(7, Stage.COARSE, 2, torch.tensor([5]), torch.tensor([1]), 100)
    there = draw_noise(seed, Stage(stage), step, torch.tensor([frame]), torch.tensor([codebook]), 100)
    assert int((here == there).sum()) == 0


def test_lowest_64_bits_of_seed_count() -> None:
    frames, codebooks = positions(10, 2)
    for seed, same in ((5, 5 + 2**64), (-1, 2**64 - 1)):
        one, other = (hide_noise(s, Stage.COARSE, 0, frames, codebooks) for s in (seed, same))
        assert torch.equal(one, other)


@pytest.mark.parametrize("seed", [0, -1, 2**32 - 1, 2**64 - 1, 10**30])
def test_noise_is_standard_gumbel(seed: int) -> None:
    g = draw_noise(seed, Stage.COARSE, 0, *positions(200, 4), 256).double()
    assert float(g.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(g.var()) == pytest.approx(math.pi**2 / 6, abs=0.05)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]))


def test_neighbours_are_uncorrelated() -> None:
    def grid(seed: int, step: int = 0) -> torch.Tensor:
        return draw_noise(seed, Stage.COARSE, step, *positions(200, 4), 128).reshape(200, 4, 128)

    g = grid(4)
    assert correlation(g[1:], g[:-1]) < 0.02
    assert correlation(g[:, 1:], g[:, :-1]) < 0.02
    assert correlation(g[..., 1:], g[..., :-1]) < 0.02
    assert correlation(g, grid(5)) < 0.02
    assert correlation(g, grid(4, step=1)) < 0.02


@pytest.mark.parametrize("p", [[0.125] * 8, [0.5, 0.25, 0.125, 0.0625, 0.03, 0.02, 0.01, 0.0025]])
def test_draws_follow_the_distribution(p: list[float]) -> None:
    n = 20000
    g = draw_noise(11, Stage.COARSE, 0, torch.arange(n), torch.zeros(n, dtype=torch.int64), 8)
    counts = torch.bincount((torch.tensor(p).log() + g).argmax(-1), minlength=8)
    expected = n * torch.tensor(p) / sum(p)
    assert float(((counts - expected) ** 2 / expected).sum()) < 40  # chi-square, 7 degrees: 1e-6 lies at 40


def test_white_noise() -> None:
    keys = torch.randint(0, 1024, (2, 9, 40), generator=torch.Generator().manual_seed(0))
    samples = white_noise(keys, 768)
    assert samples.shape == (2, 40 * 768)
    assert float(samples.mean()) == pytest.approx(0, abs=0.01)
    assert float(samples.var()) == pytest.approx(1, abs=0.02)
    assert abs(float((samples[:, 1:] * samples[:, :-1]).mean())) < 0.01
    assert torch.equal(white_noise(keys[1, :, 7:9], 768), samples[1, 7 * 768 : 9 * 768])
    other = keys.clone()
    other[0, 8, 5] += 1
    changed = (white_noise(other, 768) != samples).view(2, 40, 768).any(-1)
    assert changed.nonzero().tolist() == [[0, 5]]
