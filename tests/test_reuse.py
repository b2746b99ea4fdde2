"""Keys and values that are kept between the steps of the sampler, against passes over all frames."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from clips import clip
from conftest import Song, Vamp
from test_transformer import CONFIGS, random_model, random_tokens
from vampcli import SamplingConfig
from vampcli.api import Model
from vampcli.config import MemoryConfig, PromptConfig, Sampler
from vampcli.model.batching import Input
from vampcli.model.transformer import KeyValueCache, VampNet
from vampcli.sampling.reuse import Job, Reuse
from vampcli.sampling.windows import window_predictor
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import TakeOptions

N_FRAMES = 40


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def model(request: pytest.FixtureRequest) -> VampNet:
    return random_model(CONFIGS[request.param])


@pytest.mark.parametrize("frames", [slice(8, 30), torch.tensor([0, 3, 10, 11, 19, 20, 39])], ids=["range", "indices"])
def test_unchanged_tokens_have_the_same_logits(model: VampNet, frames: slice | torch.Tensor) -> None:
    tokens, wanted, cache = random_tokens(model.config, 2, N_FRAMES), slice(10, 20), KeyValueCache.empty()
    whole = model(tokens, wanted, cache)
    torch.testing.assert_close(whole, model(tokens, wanted), atol=0, rtol=0)
    part = model(tokens, wanted, cache, frames)
    inside = torch.arange(N_FRAMES)[frames] if isinstance(frames, slice) else frames
    inside = inside[(inside >= 10) & (inside < 20)] - 10
    torch.testing.assert_close(part[:, :, inside], whole[:, :, inside], atol=1e-5, rtol=0)


def test_changed_frames_enter_the_cache(model: VampNet) -> None:
    """In one layer, keys and values depend on their own frame alone: passes over what has changed are exact."""
    model.layers = model.layers[:1]
    tokens, cache, frames = random_tokens(model.config, 1, N_FRAMES), KeyValueCache.empty(), slice(5, 25)
    model(tokens, slice(0, N_FRAMES), cache)
    changed = tokens.clone()
    changed[..., 7] = random_tokens(model.config, 1, N_FRAMES, seed=9)[..., 7]
    part = model(changed, slice(6, 20), cache, frames)
    torch.testing.assert_close(part, model(changed, slice(6, 20)), atol=1e-5, rtol=0)
    assert torch.equal(cache.tokens, changed)


def plan(refresh: int, wanted: slice, due: list[int], n_windows: int = 1, n_steps: int = 9) -> list[Input]:
    """The passes of one window of 100 frames in some steps; frame `due[i]` is drawn, and changes, in each step."""
    reuse, job, tokens = Reuse(refresh, [n_windows], 100), Job(slice(0, 1), (0,), wanted), torch.zeros(1, 3, 100).long()
    passes = []
    for step in range(n_steps):
        now = torch.zeros(1, 100, dtype=torch.bool)
        now[0, due] = True
        [one] = reuse.plan([job], [tokens.clone()], now)
        assert isinstance(one, Input)
        if one.cache is not None:  # the pass
            one.cache.layers.append(torch.zeros(0))
            one.cache.tokens = tokens.clone()
        tokens[..., 90 + step] += 1
        passes.append(one)
    return passes


def test_a_short_range_is_computed_alone() -> None:
    passes = plan(4, slice(30, 40), [35])
    assert [one.frames is None for one in passes] == [step % 4 == 0 for step in range(9)]
    assert passes[1].frames == slice(22, 54)  # eight more on both sides, then up to a multiple of sixteen
    assert passes[1].cache is passes[0].cache is not None


def test_scattered_frames_are_those_drawn_and_those_changed() -> None:
    frames = plan(9, slice(0, 100), [35, 70])[2].frames
    assert isinstance(frames, torch.Tensor)
    assert len(frames) == 16
    assert {35, 70, 91} <= set(frames.tolist())
    assert (frames.diff() > 0).all()


@pytest.mark.parametrize(
    ("refresh", "due", "n_windows"), [(0, [1], 1), (4, list(range(90)), 1), (4, [1], 9)], ids=["exact", "all", "long"]
)
def test_other_passes_keep_nothing(refresh: int, due: list[int], n_windows: int) -> None:
    assert all(one.cache is None for one in plan(refresh, slice(0, 100), due, n_windows))


def test_equal_first_passes_run_once() -> None:
    model, calls = random_model(CONFIGS["coarse"]), []

    def forward(*arguments: object) -> torch.Tensor:
        calls.append(arguments)
        return model(*arguments)

    tokens = random_tokens(model.config, 1, N_FRAMES).expand(3, -1, -1).clone()
    hidden = torch.zeros(3, N_FRAMES, dtype=torch.bool)
    hidden[:, 10:12] = True
    predict = window_predictor(forward, N_FRAMES, hidden, refresh=3)
    first = [piece.logits for piece in predict(tokens, hidden)]
    assert len(calls) == 1
    assert torch.equal(first[0], first[1])
    tokens[1, 0, 10] = 5
    list(predict(tokens, hidden))
    assert len(calls) == 4


@pytest.mark.parametrize("sampler", get_args(Sampler))
@pytest.mark.parametrize("span", [(0.3, 0.5), (0.0, 1.2)])
def test_takes_depend_on_their_seed_alone(tiny: Model, sampler: Sampler, span: tuple[float, float]) -> None:
    config = SamplingConfig(steps=6, fine_steps=3, sampler=sampler, refresh=4)
    task = Inpaint(SpanRequest([span]), memory=MemoryConfig(memory=0))
    together = tiny.takes(clip(1.2), task, TakeOptions((5, 6, 7), config))
    for seed, take in zip((5, 6, 7), together, strict=True):
        [alone] = tiny.takes(clip(1.2), task, TakeOptions((seed,), config))
        assert torch.equal(alone.tokens, take.tokens)


def test_refresh_in_every_step_is_exact(tiny: Model) -> None:
    configs = (SamplingConfig(steps=6, sampler="halton", refresh=refresh) for refresh in (0, 1))
    (exact,), (refreshed,) = (tiny.vamp(clip(1.2), PromptConfig(period=7), sampling=config) for config in configs)
    assert torch.equal(exact.tokens, refreshed.tokens)


def test_figures_of_whole_passes_are_zero(vamp: Vamp, tiny_folder: Path, song: Song) -> None:
    """With a whole pass in every step nothing changes; with few, little does."""
    source = song(seconds=14)
    ran = vamp("eval", "reuse", source, "-m", tiny_folder, "--windows", 2, "--refresh", 1)
    assert ran.code == 0, ran.err
    assert [one["case"] for one in ran.facts] == [
        "span of 0.5 s",
        "span of 2 s",
        "span of 5 s",
        "period 7",
        "period 16",
    ]
    for one in ran.facts:
        assert (one["n_excerpts"], one["loss_change"], one["kl"], one["equal_tokens"]) == (2, 0, 0, 1)
    some = vamp("eval", "reuse", source, "-m", tiny_folder, "--windows", 1, "--refresh", 36).facts
    assert 0 < some[0]["kl"] < 0.5
    assert some[0]["loss_error"] is None
    vamp("eval", "reuse", song("short.wav", seconds=0.5), "-m", tiny_folder).refuses(3, "no recording is 1.4 s long")
