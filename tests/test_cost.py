"""The forecast passes of a take are those that run."""

from typing import Any

import pytest
import torch

from clips import clip
from test_task_base import every_task
from vampcli import SamplingConfig
from vampcli.api import Model
from vampcli.config import PromptConfig
from vampcli.model.transformer import VampNet
from vampcli.tasks import cost
from vampcli.tasks.base import Task
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import TakeOptions
from vampcli.tasks.vamp import Vamp

LONG = 4.0  # several windows of either model, and several regions


def forecast(tiny: Model, task: Task, config: SamplingConfig) -> list[cost.Work]:
    source, coarse, fine = Recording(clip(LONG)), tiny.coarse.config, tiny.fine.config
    plan = task.plan(source, tiny.codec, coarse.context_frames)
    passes = task.passes(source, plan, tiny.codec, coarse, 3)
    return [cost.work(passes, coarse, config.steps, config.refresh), cost.work(passes, fine, config.fine_steps)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[int]]:
    """Frames of every forward pass, by the number of codebooks of the model."""
    seen: dict[int, list[int]] = {2: [], 5: []}
    forward = VampNet.forward

    def watched(self: VampNet, tokens: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        seen[tokens.shape[1]].append(tokens.shape[2])
        return forward(self, tokens, *rest, **more)

    monkeypatch.setattr(VampNet, "forward", watched)
    return seen


@every_task
def test_one_step_runs_every_window_once(tiny: Model, task: Task, calls: dict[int, list[int]]) -> None:
    config = SamplingConfig(steps=1, fine_steps=1)
    works = forecast(tiny, task, config)
    list(tiny.takes(clip(LONG), task, TakeOptions([3], config)))
    for part, frames in zip(works, calls.values(), strict=True):
        assert part == cost.Work(len(frames), len(frames), sum(frames), sum(frames))


def test_forward_passes_are_an_upper_bound(tiny: Model, calls: dict[int, list[int]]) -> None:
    task, config = Vamp(PromptConfig(0), SpanRequest([(0.1, 0.5), (2.4, 3.9)])), SamplingConfig(5, 3)
    works = forecast(tiny, task, config)
    list(tiny.takes(clip(LONG), task, TakeOptions([3], config)))
    for part, frames in zip(works, calls.values(), strict=True):
        assert 0 < len(frames) <= part.n_forwards
        assert 0 < sum(frames) <= part.n_frames


def test_nothing_hidden_is_no_work(tiny: Model) -> None:
    assert forecast(tiny, Vamp(PromptConfig(1)), SamplingConfig()) == 2 * [cost.Work(0, 0, 0, 0)]


def test_regions_lie_on_the_canvas(tiny: Model) -> None:
    """Frames hidden far apart are separate regions; both begin and end with a hidden frame."""
    source, task = Recording(clip(8)), Inpaint(SpanRequest([(3, 3.2), (6, 6.5)]))
    plan = task.plan(source, tiny.codec, 80)
    (one,) = task.passes(source, plan, tiny.codec, tiny.coarse.config, 0)
    assert plan.first_frame > 0
    assert tuple(cost.sampled_regions(one, 80)) == plan.hidden


def test_reused_frames_are_counted_as_the_sampler_computes_them(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    task, config, computed = Inpaint(SpanRequest([(1, 1.2)])), SamplingConfig(9, 1, refresh=4), 0
    works, features = forecast(tiny, task, config), VampNet.features

    def watched(self: VampNet, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        nonlocal computed
        frames = rest[2]
        if tokens.shape[1] == 2:
            computed += tokens.shape[2] if frames is None else frames.stop - frames.start
        return features(self, tokens, *rest)

    monkeypatch.setattr(VampNet, "features", watched)
    list(tiny.takes(clip(LONG), task, TakeOptions([3], config)))
    assert works[0].n_computed == computed < works[0].n_frames


def test_seconds_are_those_of_the_processor(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 9.0, 10.0, 10.5, *range(20, 40)])  # the least of the measured times counts
    monkeypatch.setattr(cost.time, "thread_time", lambda: next(now))
    cost._product_seconds.cache_clear()
    config = tiny.coarse.config
    few, many = (cost.seconds(cost.Work(2, 2 * n, 160 * n, 160 * n), config, "fp32") for n in (1, 3))
    cost._product_seconds.cache_clear()
    products = 160 * config.n_layers * 10 * config.width**2  # attention and classifier come on top
    assert few > products * 0.5 / (256 * config.width * 4 * config.width)
    assert many == pytest.approx(3 * few)
