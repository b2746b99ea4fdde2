"""How coarse and fine models learn."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import tiny_parts
from training import LOOP, token_run
from vampcli import read
from vampcli.checkpoints.weights import load_parts, save_parts
from vampcli.errors import ModelError
from vampcli.model.transformer import VampNet
from vampcli.train.loop import Trainer
from vampcli.train.masking import HIDDEN_SHARES, draw_masks, even_points
from vampcli.train.samples import sample_spans
from vampcli.train.token_task import TokenTask
from vampcli.train.validate import validate


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_a_transformer_learns_its_pieces(packed: Path, tiny_folder: Path, tmp_path: Path, n_conditioning: int) -> None:
    task = TokenTask(token_run(packed, tiny_folder, n_conditioning))
    trainer = Trainer(task, LOOP, tmp_path)
    figures = [trainer.advance() for _ in range(LOOP.steps)]
    assert np.mean([f["loss"] for f in figures[-5:]]) < 0.9 * np.mean([f["loss"] for f in figures[:5]])
    with trainer.averaged(), torch.no_grad():
        assert task.eval().validate()["loss_50%"] < math.log(32)


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_loss_of_hidden_predicted_tokens(packed: Path, tiny_folder: Path, n_conditioning: int) -> None:
    run = token_run(packed, tiny_folder, n_conditioning)
    task = TokenTask(replace(run, loop=replace(LOOP, dtype="fp32"))).eval()
    loss, figures = task.loss(3, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    clips = task.pool.draw(rng, LOOP.batch_size, 30)[:, : run.model.n_codebooks].long()
    shares = HIDDEN_SHARES["cosine"](even_points(LOOP.seed, 3 * LOOP.batch_size, LOOP.batch_size))
    hidden = draw_masks(clips.shape, n_conditioning, shares, rng)
    target = clips[hidden]
    guess = task.model(clips.masked_fill(hidden, 32))[hidden[:, n_conditioning:]]
    plain = torch.nn.functional.cross_entropy(guess, target, label_smoothing=run.label_smoothing)
    assert torch.allclose(loss, plain, rtol=1e-5)
    assert figures["top_1"] == pytest.approx(float((guess.argmax(-1) == target).float().mean()))
    grown = torch.autograd.grad(loss, task.model.classifier.weight)[0]
    assert torch.allclose(grown, torch.autograd.grad(plain, task.model.classifier.weight)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("masking", "quantile"),
    [
        ("cosine", lambda u: np.sin(np.pi * u / 2)),
        ("uniform", lambda u: u),
        ("half", lambda u: np.full_like(u, 0.5)),
        ("beta", lambda u: np.sort(np.random.default_rng(1).beta(4, 2, len(u)))),
    ],
)
def test_hidden_shares_are_distributed_as_named(masking: str, quantile: Callable[[Any], Any]) -> None:
    rng, n = np.random.default_rng(0), 1600
    drawn = HIDDEN_SHARES[masking](even_points(0, 0, n))
    hidden = draw_masks((n, 4, 400), 0, drawn, rng)
    expected = quantile((np.arange(n) + 0.5) / n)
    assert np.abs(np.sort(drawn) - expected).max() < 0.06
    assert hidden.float().mean((1, 2)).numpy() == pytest.approx(drawn, abs=0.06)
    assert float(hidden.float().mean()) == pytest.approx(expected.mean(), abs=0.01)


def test_conditioning_codebooks_are_never_hidden() -> None:
    hidden = draw_masks((16, 9, 100), 4, HIDDEN_SHARES["cosine"](even_points(0, 0, 16)), np.random.default_rng(0))
    assert not hidden[:, :4].any()
    assert hidden.flatten(1).any(1).all()


def test_every_clip_hides_something() -> None:
    hidden = draw_masks((50, 3, 2), 2, np.full(50, 1e-4), np.random.default_rng(0))
    assert hidden[:, 2].any(1).all()


def discrepancy(points: np.ndarray) -> float:
    """How far the share of points below any bound is from the bound (the star discrepancy)."""
    ordered, n = np.sort(points), len(points)
    return float(max((np.arange(1, n + 1) / n - ordered).max(), (ordered - np.arange(n) / n).max()))


@pytest.mark.parametrize(("first", "n"), [(0, 8), (1000, 8), (12, 100), (10**9, 1000)])
def test_shares_are_evenly_spread(first: int, n: int) -> None:
    rng = np.random.default_rng(first)
    chance = np.median([discrepancy(rng.random(n)) for _ in range(50)])
    assert max(discrepancy(even_points(seed, first, n)) for seed in range(5)) < 0.8 * chance


def test_shares_depend_on_seed_and_place() -> None:
    assert np.array_equal(even_points(3, 0, 12)[4:8], even_points(3, 4, 4))
    assert not np.array_equal(even_points(3, 0, 4), even_points(4, 0, 4))


def test_processes_take_turns_in_shares(packed: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def spy(seed: int, first: int, n: int) -> np.ndarray:
        asked.append((first, n))
        return even_points(seed, first, n)

    monkeypatch.setattr("vampcli.train.token_task.even_points", spy)
    task = TokenTask(token_run(packed, tiny_folder))
    task.n_processes = 2
    for step in range(2):
        for task.rank in range(2):
            task.loss(step, np.random.default_rng(0))
    assert asked == [(0, 4), (4, 4), (8, 4), (12, 4)]


def test_validation_beside_unigram_figures(packed: Path, tiny_folder: Path) -> None:
    task = TokenTask(token_run(packed, tiny_folder)).eval()
    with torch.no_grad():
        figures = task.validate()
    assert {f"{name}_{r}%" for name in ("loss", "top_1", "top_25") for r in (10, 30, 50, 70, 90)} < figures.keys()
    codes = torch.cat([piece[:2] for piece in task.pool.pieces], dim=1).long()
    shares = torch.stack([torch.bincount(level, minlength=32) for level in codes]) / codes.shape[1]
    entropy = -(shares * shares.clamp(min=1e-9).log()).sum(1).mean()
    assert figures["unigram_loss"] == pytest.approx(float(entropy), rel=0.1)
    assert figures["unigram_top_1"] == pytest.approx(float(shares.max(1).values.mean()), abs=0.1)


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_samples_are_sounds_with_figures(packed: Path, tiny_folder: Path, tmp_path: Path, n_conditioning: int) -> None:
    task = TokenTask(token_run(packed, tiny_folder, n_conditioning)).eval()
    with torch.inference_mode():
        figures = task.sample(tmp_path / "samples", "step-000500")
        again = task.sample(tmp_path / "samples", "step-000501")
    assert figures == again
    assert figures["mel_error"] > 0
    made, original = (read(tmp_path / f"samples/{name}-2.flac") for name in ("step-000500", "original"))
    differs = np.flatnonzero((made.samples != original.samples).any(0))
    hop, reach = task.frozen[0].grid.hop_length, task.frozen[0].halo_frames
    assert made.samples.shape == (1, 30 * hop)
    assert (9 - reach) * hop <= differs[0]
    assert differs[-1] < (21 + reach) * hop


def test_a_perfect_model_has_no_error(packed: Path, tiny_folder: Path, tmp_path: Path) -> None:
    parts = load_parts(tiny_folder, torch.device("cpu"), torch.float32)
    clips = torch.full((2, 5, 30), 3)
    model = VampNet(token_run(packed, tiny_folder).model).eval()
    with torch.inference_mode():
        model.classifier.weight.zero_()
        model.classifier.bias.view(2, 32)[:, 3] = 1e4
        figures = sample_spans(model, parts.codec, clips, tmp_path, "x")
    assert figures == {"mel_error": 0.0, "level_db": 0.0}


@pytest.mark.parametrize("part", ["coarse", "fine"])
def test_a_run_starts_from_a_model(packed: Path, tiny_folder: Path, part: str) -> None:
    model = getattr(load_parts(tiny_folder, torch.device("cpu"), torch.float32), part)
    run = replace(token_run(packed, tiny_folder), model=model.config, start=str(tiny_folder))
    state = TokenTask(run).model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_run_starts_from_no_other_model(packed: Path, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="other sizes"):
        TokenTask(replace(token_run(packed, tiny_folder), start=str(tiny_folder)))
    parts = tiny_parts()
    with torch.no_grad():
        next(parts.codec.encoder.parameters()).add_(1)
    save_parts(tmp_path, "magnitude", parts)
    with pytest.raises(ModelError, match="another codec"):
        TokenTask(replace(token_run(packed, tiny_folder), start=str(tmp_path)))


def test_validation_has_the_folders_sizes(packed: Path, tiny_folder: Path) -> None:
    for n_conditioning in (0, 2):
        figures = validate(token_run(packed, tiny_folder, n_conditioning), tiny_folder)
        assert math.isfinite(figures["loss"])


def test_compiled_training_learns_the_same(packed: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def compiled(function: Callable[..., Any], dynamic: bool) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(function.__name__)
            return function(*arguments)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    run = token_run(packed, tiny_folder)
    run = replace(run, model=replace(run.model, dropout=0.0))
    plain, fused = (TokenTask(replace(run, loop=replace(LOOP, compile=c))) for c in (False, True))
    fused.load_state_dict(plain.state_dict())
    one, other = (task.train().loss(3, np.random.default_rng(0))[0] for task in (plain, fused))
    assert torch.equal(one, other)
    assert calls == ["features", "_smoothed", "_smoothed"]
    with torch.no_grad():
        fused.eval().validate()
    assert len(calls) == 3


def test_length_of_validation_excerpts(packed: Path, tiny_folder: Path) -> None:
    task = TokenTask(replace(token_run(packed, tiny_folder), n_validation_frames=40))
    assert task.validation_clips.shape[-1] == 40
    assert task.pool.draw(np.random.default_rng(0), 1, task.run.n_frames).shape[-1] == 30
