"""The sampler against its pseudo code, one take at a time."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

import oracles
from vampcli.config import Sampler, SamplingConfig
from vampcli.errors import UsageError
from vampcli.model.config import VampNetConfig
from vampcli.progress import part_of
from vampcli.sampling.sampler import fill, top_p_classes, typical_classes
from vampcli.sampling.windows import Piece, window_predictor

N_CODEBOOKS, N_CLASSES, CONTEXT = 4, 12, 30
CONFIG = SamplingConfig(steps=6, fine_steps=6, mask_temperature=2.0)
SAMPLERS = pytest.mark.parametrize("sampler", get_args(Sampler))


def prompt(n_frames: int, share: float, n_conditioning: int = 0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random tokens and a random mask."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(N_CLASSES, (N_CODEBOOKS, n_frames), generator=generator)
    mask = torch.rand(N_CODEBOOKS, n_frames, generator=generator) < share
    mask[:n_conditioning] = False
    return tokens, mask


def sizes(n_conditioning: int = 0) -> VampNetConfig:
    """Sizes of the fake model."""
    return VampNetConfig(N_CODEBOOKS, n_conditioning, 1, 8, 1, CONTEXT, N_CLASSES)


def run(
    tokens: Tensor,
    mask: Tensor,
    seeds: list[int],
    config: SamplingConfig = CONFIG,
    n_conditioning: int = 0,
    **arguments: Any,
) -> Tensor:
    """Fill with the fake model."""
    model = oracles.fake_model(N_CODEBOOKS, n_conditioning, N_CLASSES)
    predict = window_predictor(model, CONTEXT, mask.expand(len(seeds), -1, -1).any(1))
    return fill(predict, tokens, mask, seeds, config, sizes(n_conditioning), **arguments)


def slow(
    tokens: Tensor,
    mask: Tensor,
    seed: int,
    config: SamplingConfig = CONFIG,
    n_conditioning: int = 0,
    first_frame: int = 0,
) -> Tensor:
    """The same from the oracle, for clips within one context."""
    model = oracles.fake_model(N_CODEBOOKS, n_conditioning, N_CLASSES)
    logits_of = lambda shown: model(shown[None])[0]  # noqa: E731
    return oracles.fill(logits_of, tokens, mask, seed, config, sizes(n_conditioning), first_frame)


# --- fill against the pseudo code


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, mask_temperature=0),
        replace(CONFIG, mask_temperature=10.5),
        replace(CONFIG, temperature=0),
        replace(CONFIG, temperature=0, mask_temperature=0),
        replace(CONFIG, temperature=2.5),
        replace(CONFIG, sample_cutoff=-1),
        replace(CONFIG, sample_cutoff=0),
        replace(CONFIG, sample_cutoff=0.5),
        replace(CONFIG, top_p=0.7),
        replace(CONFIG, typical_mass=0.3, typical_min_tokens=2),
        replace(CONFIG, typical_mass=0.6, typical_min_tokens=2, top_p=0.8, temperature=0.7),
        replace(CONFIG, sampler="halton"),
        replace(CONFIG, sampler="halton", temperature=0),
    ],
)
def test_fill_follows_the_pseudo_code(config: SamplingConfig) -> None:
    tokens, mask = prompt(24, 0.6)
    assert torch.equal(run(tokens, mask, [7], config)[0], slow(tokens, mask, 7, config))


@SAMPLERS
@pytest.mark.parametrize("n_steps", [1, 2, 40])
def test_fill_in_any_number_of_steps(n_steps: int, sampler: Sampler) -> None:
    (tokens, mask), config = prompt(10, 0.8), replace(CONFIG, steps=n_steps, sampler=sampler)
    assert torch.equal(run(tokens, mask, [1], config)[0], slow(tokens, mask, 1, config))


def test_fill_with_conditioning_later_in_recording() -> None:
    tokens, mask = prompt(24, 0.6, n_conditioning=2)
    made = run(tokens, mask, [7], CONFIG, 2, first_frame=1000)[0]
    assert torch.equal(made, slow(tokens, mask, 7, CONFIG, 2, 1000))


@SAMPLERS
def test_regions_have_their_own_schedules(sampler: Sampler) -> None:
    (tokens, mask), config = prompt(30, 1.0), replace(CONFIG, sampler=sampler)
    mask[:, 2:28] = False
    mask[:, 20] = True
    assert torch.equal(run(tokens, mask, [7], config)[0], slow(tokens, mask, 7, config))


def test_takes_with_different_masks() -> None:
    tokens = prompt(30, 0.7)[0]
    masks = torch.stack([prompt(30, share, seed=i)[1] for i, share in enumerate((0.2, 0, 1))])
    for take, mask, seed in zip(run(tokens, masks, [4, 5, 6]), masks, [4, 5, 6], strict=True):
        assert torch.equal(take, slow(tokens, mask, seed))


def test_size_of_parts_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, mask = prompt(70, 0.6)
    whole = run(tokens, mask, [1, 2])
    monkeypatch.setattr("vampcli.sampling.sampler._MOST_LOGITS", (5 * N_CLASSES, 1))
    assert torch.equal(run(tokens, mask, [1, 2]), whole)


def test_pieces_go_to_their_rows() -> None:
    """Logits say for each row, frame and codebook which token is meant."""
    tokens, mask = prompt(40, 0.5)[0], torch.stack([prompt(40, 0.5, 1, seed)[1] for seed in range(4)])
    meant = torch.randint(N_CLASSES, (4, N_CODEBOOKS, 40), generator=torch.Generator().manual_seed(9))

    def predict(shown: Tensor, hidden: Tensor) -> Iterator[Piece]:
        assert torch.equal(shown == N_CLASSES, mask)
        assert torch.equal(hidden, mask.any(1))
        for rows in (slice(0, 1), slice(1, 4)):
            for start, stop in ((0, 13), (13, 40)):
                logits = torch.nn.functional.one_hot(meant[rows, 1:, start:stop], N_CLASSES).float()
                yield Piece(rows, start, 50 * logits)

    filled = fill(predict, tokens, mask, [1, 2, 3, 4], replace(CONFIG, fine_steps=1), sizes(1))
    assert torch.equal(filled, torch.where(mask, meant, tokens))


# --- properties


@pytest.mark.parametrize(("n_frames", "share"), [(1, 1.0), (20, 0.05), (70, 0.0), (100, 0.3), (100, 1.0)])
def test_kept_tokens_stay_hidden_ones_go(n_frames: int, share: float) -> None:
    tokens, mask = prompt(n_frames, share)
    given, given_mask = tokens.masked_fill(mask, N_CLASSES), mask.clone()
    before = given.clone()
    for take in run(given, given_mask, [1, 2]):
        assert torch.equal(take[~mask], tokens[~mask])
        assert 0 <= int(take.min()) <= int(take.max()) < N_CLASSES
    assert torch.equal(given, before)
    assert torch.equal(given_mask, mask)


def test_values_under_the_mask_are_ignored() -> None:
    tokens, mask = prompt(50, 0.5)
    assert torch.equal(run(tokens, mask, [3]), run(tokens.masked_fill(mask, 0), mask, [3]))


@SAMPLERS
@pytest.mark.parametrize("n_frames", [25, 75])
def test_takes_depend_on_seeds_alone(n_frames: int, sampler: Sampler) -> None:
    (tokens, mask), config = prompt(n_frames, 0.4), replace(CONFIG, sampler=sampler)
    together = run(tokens, mask, [5, 6, 7, 8, 5], config)
    for i in (0, 3):
        assert torch.equal(run(tokens, mask, [5 + i], config)[0], together[i])
    assert torch.equal(together[0], together[4])
    assert not torch.equal(together[0], together[1])


def test_far_regions_do_not_matter() -> None:
    tokens, mask = prompt(120, 1.0)
    near = mask.clone()
    near[:, 10:] = False
    far = near.clone()
    far[:, 100:110] = True
    assert torch.equal(run(tokens, near, [3])[0, :, :10], run(tokens, far, [3])[0, :, :10])


@pytest.mark.parametrize("changes", [{"temperature": 0}, {"sample_cutoff": -1}])
def test_greedy_decoding_ignores_the_seed(changes: dict[str, float]) -> None:
    tokens, mask = prompt(30, 0.6)
    a, b = run(tokens, mask, [1, 2], replace(CONFIG, mask_temperature=0, **changes))
    assert torch.equal(a, b)


def test_cutoff_0_draws_in_step_0() -> None:
    tokens, mask = prompt(30, 0.6)
    a, b = run(tokens, mask, [1, 2], replace(CONFIG, sample_cutoff=0, mask_temperature=0, steps=1))
    assert not torch.equal(a, b)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_progress_is_called_after_each_step(share: float) -> None:
    calls: list[tuple[int, int]] = []
    run(*prompt(20, share), [1, 2], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 6) for i in range(1, 7)]


def test_progress_of_parts() -> None:
    calls: list[tuple[int, int]] = []
    for i in range(3):
        for step in (1, 2):
            part_of(lambda done, total: calls.append((done, total)), i, 3)(step, 2)
    assert calls == [(i, 6) for i in range(1, 7)]


# --- filters


def distributions(n: int) -> Tensor:
    """From flat to peaked: float32 (n, 40)."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(n, 40, generator=generator) * torch.linspace(0.1, 5, n)[:, None]).softmax(-1)


@pytest.mark.parametrize("mass", [0.01, 0.3, 0.9, 0.999])
def test_top_p_keeps_the_likeliest(mass: float) -> None:
    p = distributions(60)
    for row, kept in zip(p, top_p_classes(p, mass), strict=True):
        assert set(kept.nonzero()[:, 0].tolist()) == oracles.nucleus(row.tolist(), mass)


@pytest.mark.parametrize("mass", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("min_tokens", [1, 5, 40, 64])
def test_typical_filter(mass: float, min_tokens: int) -> None:
    p = distributions(60)
    for row, kept in zip(p, typical_classes(p, mass, min_tokens), strict=True):
        assert set(kept.nonzero()[:, 0].tolist()) == oracles.typical(row.tolist(), mass, min_tokens)


def test_filters_survive_certainty() -> None:
    p = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert top_p_classes(p, 0.5).tolist() == typical_classes(p, 0.5, 1).tolist() == [[True, False, False, False]]


# --- configuration


@pytest.mark.parametrize(
    "bad",
    [{name: 0} for name in ("steps", "fine_steps", "typical_min_tokens", "top_p", "typical_mass")]
    + [{name: -0.1} for name in ("temperature", "mask_temperature", "top_p", "typical_mass")]
    + [{name: math.nan} for name in ("temperature", "mask_temperature", "top_p", "typical_mass")]
    + [{name: math.inf} for name in ("temperature", "mask_temperature")]
    + [{name: 1.01} for name in ("top_p", "typical_mass")],
)
def test_settings_out_of_range(bad: dict[str, float]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(UsageError, match=rf"{name} is {value}"):
        SamplingConfig(**bad)  # type: ignore[arg-type]


def test_unknown_sampler() -> None:
    SamplingConfig(1, 1, 0.0, 0.0, 1.0, 1.0, 1, -1.0)  # the ends of the ranges
    with pytest.raises(UsageError, match="sampler is sobol") as caught:
        SamplingConfig(sampler="sobol")  # type: ignore[arg-type]
    assert caught.value.hint == "it must be confidence or halton"
