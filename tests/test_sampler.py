"""The sampler follows its pseudo code, one take at a time."""

from __future__ import annotations

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
from vampcli.progress import part_of
from vampcli.sampling.sampler import fill, filtered, top_p_classes, typical_classes
from vampcli.sampling.windows import Piece, windowed
from vampcli.tokens.noise import Stage

N_CODEBOOKS, N_CLASSES, CONTEXT = 4, 12, 30
CONFIG = SamplingConfig(mask_temperature=2.0)


def prompt(n_frames: int, share: float, n_conditioning: int = 0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random tokens and a random mask."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(N_CLASSES, (N_CODEBOOKS, n_frames), generator=generator)
    mask = torch.rand(N_CODEBOOKS, n_frames, generator=generator) < share
    mask[:n_conditioning] = False
    return tokens, mask


def run(tokens: Tensor, mask: Tensor, seeds: list[int], config: SamplingConfig = CONFIG, **changes: Any) -> Tensor:
    """Fill with the fake model; `changes` go to `fill`."""
    n_conditioning = changes.get("n_conditioning", 0)
    model = oracles.fake_model(N_CODEBOOKS, n_conditioning, N_CLASSES)
    arguments = {"stage": Stage.COARSE, "n_steps": 6, "n_conditioning": 0, "context": CONTEXT, "mask_id": N_CLASSES}
    arguments |= changes
    ever = mask.expand(len(seeds), -1, -1).any(1)
    return fill(windowed(model, arguments["context"], ever), tokens, mask, seeds, config, **arguments)


def slow(tokens: Tensor, mask: Tensor, seed: int, config: SamplingConfig = CONFIG, **changes: Any) -> Tensor:
    """The same from the oracle, for clips within one context."""
    model = oracles.fake_model(N_CODEBOOKS, changes.get("n_conditioning", 0), N_CLASSES)
    arguments = {"stage": Stage.COARSE, "n_steps": 6, "n_conditioning": 0, "context": CONTEXT, "mask_id": N_CLASSES}
    return oracles.fill(lambda shown: model(shown[None])[0], tokens, mask, seed, config, **(arguments | changes))


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


@pytest.mark.parametrize("sampler", get_args(Sampler))
@pytest.mark.parametrize("n_steps", [1, 2, 12, 40])
def test_fill_follows_the_pseudo_code_in_any_number_of_steps(n_steps: int, sampler: Sampler) -> None:
    (tokens, mask), config = prompt(10, 0.8), replace(CONFIG, sampler=sampler)
    assert torch.equal(
        run(tokens, mask, [1], config, n_steps=n_steps)[0], slow(tokens, mask, 1, config, n_steps=n_steps)
    )


def test_fill_follows_the_pseudo_code_with_conditioning() -> None:
    tokens, mask = prompt(24, 0.6, n_conditioning=2)
    changes = {"n_conditioning": 2, "stage": Stage.FINE, "first_frame": 1000}
    assert torch.equal(run(tokens, mask, [7], **changes)[0], slow(tokens, mask, 7, **changes))


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_regions_far_apart_have_schedules_of_their_own(sampler: Sampler) -> None:
    (tokens, mask), config = prompt(30, 1.0), replace(CONFIG, sampler=sampler)
    mask[:, 2:28] = False
    mask[:, 20] = True
    assert torch.equal(run(tokens, mask, [7], config)[0], slow(tokens, mask, 7, config))


def test_takes_with_masks_of_their_own_are_those_of_one_take() -> None:
    tokens, masks = (
        prompt(30, 0.7)[0],
        torch.stack([prompt(30, share, seed=i)[1] for i, share in enumerate((0.2, 0, 1))]),
    )
    for take, mask, seed in zip(run(tokens, masks, [4, 5, 6]), masks, [4, 5, 6], strict=True):
        assert torch.equal(take, slow(tokens, mask, seed))


def test_tokens_are_drawn_the_same_in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, mask = prompt(70, 0.6)
    whole = run(tokens, mask, [1, 2])
    monkeypatch.setattr("vampcli.sampling.sampler._DRAWN_TOGETHER", (5 * N_CLASSES, 1))
    assert torch.equal(run(tokens, mask, [1, 2]), whole)


def test_pieces_of_several_rows_and_some_frames_are_put_where_they_belong() -> None:
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

    arguments = {"stage": Stage.FINE, "n_steps": 1, "n_conditioning": 1, "context": CONTEXT, "mask_id": N_CLASSES}
    filled = fill(predict, tokens, mask, [1, 2, 3, 4], CONFIG, **arguments)
    assert torch.equal(filled, torch.where(mask, meant, tokens))


# --- properties


@pytest.mark.parametrize(("n_frames", "share"), [(1, 1.0), (20, 0.05), (20, 1.0), (100, 0.3), (100, 1.0)])
def test_kept_tokens_stay_and_nothing_stays_hidden(n_frames: int, share: float) -> None:
    tokens, mask = prompt(n_frames, share)
    for take in run(tokens.masked_fill(mask, N_CLASSES), mask, [1, 2]):
        assert torch.equal(take[~mask], tokens[~mask])
        assert int(take.min()) >= 0
        assert int(take.max()) < N_CLASSES


def test_what_lies_under_the_mask_does_not_matter() -> None:
    tokens, mask = prompt(50, 0.5)
    assert torch.equal(run(tokens, mask, [3]), run(tokens.masked_fill(mask, 0), mask, [3]))


@pytest.mark.parametrize("sampler", get_args(Sampler))
@pytest.mark.parametrize("n_frames", [25, 75])
def test_a_take_is_the_same_alone_and_among_eight(n_frames: int, sampler: Sampler) -> None:
    (tokens, mask), config = prompt(n_frames, 0.4), replace(CONFIG, sampler=sampler)
    together = run(tokens, mask, list(range(5, 13)), config)
    for i in (0, 3, 7):
        assert torch.equal(run(tokens, mask, [5 + i], config)[0], together[i])


def test_takes_differ() -> None:
    tokens, mask = prompt(30, 0.8)
    a, b = run(tokens, mask, [5, 6])
    assert not torch.equal(a, b)


def test_takes_of_one_seed_are_equal_in_one_batch() -> None:
    tokens, mask = prompt(40, 0.5)
    a, _, b = run(tokens, mask, [5, 6, 5])
    assert torch.equal(a, b)


def test_a_far_region_does_not_change_a_take() -> None:
    tokens, mask = prompt(120, 1.0)
    near = mask.clone()
    near[:, 10:] = False
    far = near.clone()
    far[:, 100:110] = True
    assert torch.equal(run(tokens, near, [3])[0, :, :10], run(tokens, far, [3])[0, :, :10])


def test_noise_belongs_to_places_in_the_recording() -> None:
    tokens, mask = prompt(30, 0.8)
    assert not torch.equal(run(tokens, mask, [5]), run(tokens, mask, [5], first_frame=1))


@pytest.mark.parametrize("config", [replace(CONFIG, temperature=0), replace(CONFIG, sample_cutoff=-1)])
def test_likeliest_tokens_without_chance_ignore_the_seed(config: SamplingConfig) -> None:
    tokens, mask = prompt(30, 0.6)
    a, b = run(tokens, mask, [1, 2], replace(config, mask_temperature=0))
    assert torch.equal(a, b)


def test_step_0_still_draws_at_cutoff_0() -> None:
    tokens, mask = prompt(30, 0.6)
    a, b = run(tokens, mask, [1, 2], replace(CONFIG, sample_cutoff=0, mask_temperature=0), n_steps=1)
    assert not torch.equal(a, b)


def test_nothing_hidden_is_returned_unchanged() -> None:
    tokens, mask = prompt(70, 0.0)
    assert torch.equal(run(tokens, mask, [1, 2]), tokens.expand(2, -1, -1))


def test_arguments_stay_as_they_were() -> None:
    tokens, mask = prompt(30, 0.6)
    before = tokens.clone(), mask.clone()
    run(tokens, mask, [1])
    assert torch.equal(tokens, before[0])
    assert torch.equal(mask, before[1])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_progress_is_told_after_each_step(share: float) -> None:
    calls: list[tuple[int, int]] = []
    run(*prompt(20, share), [1, 2], progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 6) for i in range(1, 7)]


def test_the_progress_of_parts_runs_through_the_whole() -> None:
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
def test_typical_keeps_the_least_surprising_surprises(mass: float, min_tokens: int) -> None:
    p = distributions(60)
    for row, kept in zip(p, typical_classes(p, mass, min_tokens), strict=True):
        assert set(kept.nonzero()[:, 0].tolist()) == oracles.typical(row.tolist(), mass, min_tokens)


def test_filters_survive_certainty() -> None:
    p = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert top_p_classes(p, 0.5).tolist() == [[True, False, False, False]]
    assert typical_classes(p, 0.5, 1).tolist() == [[True, False, False, False]]


def test_temperature_comes_after_the_filters() -> None:
    logits = distributions(20).log()
    hot, cold = (filtered(logits, SamplingConfig(temperature=t, top_p=0.5)) for t in (5.0, 0.2))
    assert torch.equal(hot.isinf(), cold.isinf())


def test_without_filters_logits_are_only_divided() -> None:
    logits = torch.tensor([[1.0, 2.0, -4.0]])
    assert filtered(logits, SamplingConfig(temperature=2)).tolist() == [[0.5, 1.0, -2.0]]
    assert torch.equal(filtered(logits, SamplingConfig(temperature=0)), logits)


# --- configuration


@pytest.mark.parametrize(
    "bad",
    [{name: 0} for name in ("n_steps", "n_fine_steps", "typical_min_tokens", "top_p", "typical_mass")]
    + [{name: -0.1} for name in ("temperature", "mask_temperature", "top_p", "typical_mass")]
    + [{name: math.nan} for name in ("temperature", "mask_temperature", "top_p", "typical_mass")]
    + [{name: math.inf} for name in ("temperature", "mask_temperature")]
    + [{name: 1.01} for name in ("top_p", "typical_mass")],
)
def test_a_setting_out_of_range_is_a_usage_error_that_names_it(bad: dict[str, float]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(UsageError, match=rf"{name} is {value}"):
        SamplingConfig(**bad)  # type: ignore[arg-type]


def test_an_unknown_sampler_is_a_usage_error_that_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="sampler is sobol") as caught:
        SamplingConfig(sampler="sobol")  # type: ignore[arg-type]
    assert caught.value.hint == "it must be confidence or halton"


def test_settings_at_the_ends_of_their_ranges_are_fine() -> None:
    SamplingConfig(1, 1, 0.0, 0.0, 1.0, 1.0, 1, -1.0)
