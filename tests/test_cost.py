"""What is foretold of a take is what is then done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from clips import clip
from test_task_base import every_verb
from vampcli import SamplingConfig
from vampcli.api import Model
from vampcli.config import PromptConfig, Sampler
from vampcli.model.transformer import Layer, VampNet, VampNetConfig
from vampcli.sampling import sampler
from vampcli.tasks import cost
from vampcli.tasks.base import Task
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp

LONG = 4.0  # several windows of either model, and several regions


def foretold(tiny: Model, verb: Task, config: SamplingConfig, seconds: float = LONG) -> list[cost.Work]:
    source, coarse, fine = clip(seconds), tiny.coarse.config, tiny.fine.config
    plan = verb.plan(source, tiny.codec, coarse.context_frames)
    passes = verb.passes(source, plan, tiny.codec, coarse, 3)
    steps = (coarse, config.n_steps), (fine, config.n_fine_steps)
    return [cost.work(passes, network, n_steps, config.sampler) for network, n_steps in steps]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Frames of every pass of a model, by the number of its codebooks, and tokens of every draw."""
    seen: dict[str, list[int]] = {"2": [], "5": [], "drawn": []}
    forward, draw = VampNet.forward, sampler._draw

    def watched(self: VampNet, tokens: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        seen[str(tokens.shape[1])].append(tokens.shape[2])
        return forward(self, tokens, *rest, **more)

    def drawn(logits: torch.Tensor, *rest: Any) -> Any:
        seen["drawn"].append(len(logits))
        return draw(logits, *rest)

    monkeypatch.setattr(VampNet, "forward", watched)
    monkeypatch.setattr(sampler, "_draw", drawn)
    return seen


@every_verb
def test_windows_are_those_that_run(tiny: Model, verb: Task, calls: dict[str, list[int]]) -> None:
    """In a single step every window that hides something runs once."""
    config = SamplingConfig(n_steps=1, n_fine_steps=1)
    coarse, fine = foretold(tiny, verb, config)
    list(tiny.takes(clip(LONG), verb, seeds=[3], config=config))
    assert (coarse.n_windows, fine.n_windows) == (len(calls["2"]), len(calls["5"]))
    assert (coarse.n_forwards, fine.n_forwards) == (coarse.n_windows, fine.n_windows)


MANY = [Vamp(), Vamp(PromptConfig(0), SpanRequest([(0.1, 0.5), (2.4, 3.9)])), Inpaint(SpanRequest([(1, 1.5)]))]


@pytest.mark.parametrize("sampler", ["confidence", "halton"])
@pytest.mark.parametrize("verb", MANY)
def test_draws_are_those_of_all_steps(tiny: Model, verb: Task, sampler: Sampler, calls: dict[str, list[int]]) -> None:
    config = SamplingConfig(n_steps=5, n_fine_steps=3, sampler=sampler)
    works = foretold(tiny, verb, config)
    list(tiny.takes(clip(LONG), verb, seeds=[3], config=config))
    assert sum(part.n_classes for part in works) == 32 * sum(calls["drawn"])
    n_run = len(calls["2"]) + len(calls["5"])
    assert 0 < n_run <= sum(part.n_forwards for part in works)


def test_nothing_hidden_is_no_work(tiny: Model) -> None:
    (coarse, fine) = foretold(tiny, Vamp(PromptConfig(1)), SamplingConfig())
    assert coarse == fine == cost.Work(0, 0, 0.0, 0)


@pytest.mark.parametrize("n_conditioning", [0, 2])
@pytest.mark.parametrize("wanted", [slice(None), slice(5, 16)])
def test_operations_are_those_that_torch_counts(
    n_conditioning: int, wanted: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = VampNetConfig(5, n_conditioning, 3, 32, 4, 40, 16, 8)
    model = VampNet(config).eval()
    spelt_out: Callable[..., torch.Tensor] = lambda q, k, v, attn_mask, dropout_p: (  # noqa: E731
        (q @ k.transpose(-1, -2)).softmax(-1) @ v  # torch counts the parts, but not its own attention on a CPU
    )
    monkeypatch.setattr("vampcli.model.transformer.F.scaled_dot_product_attention", spelt_out)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.randint(0, 16, (1, 5, 40)), wanted)
    n_wanted = len(range(40)[wanted])
    assert cost.forward_flops(config, 40, n_wanted) == counter.get_total_flops()


def test_regions_lie_on_the_canvas(tiny: Model) -> None:
    """Frames hidden far apart are regions of their own; both begin and end with what is hidden."""
    source, verb = clip(8), Inpaint(SpanRequest([(3, 3.2), (6, 6.5)]))
    plan = verb.plan(source, tiny.codec, 80)
    (one,) = verb.passes(source, plan, tiny.codec, tiny.coarse.config, 0)
    assert plan.first_frame > 0
    assert tuple(cost.sampled_regions(one, 80)) == plan.hidden


def test_the_rate_of_a_layer_is_its_operations_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that takes 50 ms by the clock: four fit into the fifth of a second."""
    now = [0.0]
    monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])
    own = Layer.forward

    def slow(self: Layer, *args: Any) -> torch.Tensor:
        now[0] += 0.05
        return own(self, *args)

    monkeypatch.setattr(Layer, "forward", slow)
    cost.layer_rate.cache_clear()
    config = VampNetConfig(5, 0, 1, 32, 4, 40, 16, 8)
    with_classifier = cost.forward_flops(config, 40, 40)
    other = 2 * 40 * (5 * 8 * 32 + 32 * 5 * 16)
    assert cost.layer_rate(config, torch.float32) == pytest.approx((with_classifier - other) / 0.05)
    cost.layer_rate.cache_clear()


def test_seconds_grow_with_work(tiny: Model) -> None:
    few = foretold(tiny, Vamp(), SamplingConfig(n_steps=4))
    many = foretold(tiny, Vamp(), SamplingConfig(n_steps=36))
    assert 0 < cost.seconds(few, 1e9) < cost.seconds(many, 1e9)
    assert cost.seconds(many, 2e9) == pytest.approx(cost.seconds(many, 1e9) / 2)
