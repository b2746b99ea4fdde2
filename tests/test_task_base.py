"""What holds for every verb."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from clips import QUICK, check_kept, clip, doubled
from vampcli import Take, Waveform
from vampcli.api import Model
from vampcli.config import PromptConfig
from vampcli.tasks import regenerate
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.regenerate import Stereo
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp

REQUESTS: dict[str, Task] = {
    "inpaint": Inpaint(SpanRequest([(0.2, 0.35), (0.6, 0.8)])),
    "outpaint": Outpaint(after_s=0.4, before_s=0.3),
    "loop": Loop(repeats=2),
    "loop-varied": Loop(repeats=2, variation=0.5),
    "vamp": Vamp(PromptConfig(n_passes=2), SpanRequest([(0.1, 0.7)])),
    "vamp-stretched": Vamp(PromptConfig(3, stretch=2)),
    "compress": Compress(2, 2),
}
every_verb = pytest.mark.parametrize("verb", REQUESTS.values(), ids=REQUESTS)


def takes(tiny: Model, source: Waveform, verb: Task, seeds: list[int], stereo: Stereo = "mid") -> list[Take]:
    return list(tiny.takes(source, verb, seeds=seeds, config=QUICK, stereo=stereo))


@every_verb
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_a_mono_signal_in_two_channels_stays_one_to_the_bit(tiny: Model, verb: Task, stereo: Stereo) -> None:
    (take,) = takes(tiny, doubled(clip(0.9, 48000)), verb, [3], stereo)
    assert len(take.tokens) == (2 if stereo == "channels" else 1)
    left, right = take.audio.samples
    assert np.array_equal(left.view(np.uint32), right.view(np.uint32))


@every_verb
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_what_no_span_names_stays_to_the_bit(tiny: Model, verb: Task, stereo: Stereo) -> None:
    source = replace(clip(0.9, 32000, 2), subtype="PCM_24")
    source.samples.setflags(write=False)  # the input is nobody's to change
    (take,) = takes(tiny, source, verb, [3], stereo)
    assert take.spans == verb.plan(source, tiny.codec, 80).spans
    assert (take.audio.sample_rate, take.audio.subtype) == (32000, "PCM_24")
    check_kept(take)


@every_verb
def test_what_is_made_is_known_without_weights(tiny: Model, verb: Task) -> None:
    source = clip(0.9)
    plan = verb.plan(source, tiny.codec, 80)
    (take,) = takes(tiny, source, verb, [3])
    passes = verb.passes(replace(source, samples=source.samples.copy()), plan, tiny.codec, tiny.coarse.config, 3)
    assert torch.equal(passes[-1].mask, take.mask)
    assert passes[-1].mask.shape == (5, passes[-1].plan.n_frames)
    assert take.mask.any()


@every_verb
def test_a_mask_of_all_of_a_canvas_is_kept_outside_what_the_models_see(tiny: Model, verb: Task) -> None:
    source = clip(4.0)
    plan = verb.plan(source, tiny.codec, 80)
    for one in verb.passes(source, plan, tiny.codec, tiny.coarse.config, 3):
        first, n_frames = one.plan.first_frame, tiny.grid.n_frames(one.plan.n_canvas_samples)
        whole = one.on_canvas(n_frames)
        assert whole.shape == (5, n_frames)
        assert torch.equal(whole[:, first : first + one.plan.n_frames], one.mask)
        assert whole.sum() == one.mask.sum()


@every_verb
def test_a_plan_knows_how_long_the_result_is(tiny: Model, verb: Task) -> None:
    source = clip(0.9, 48000)
    (take,) = takes(tiny, source, verb, [3])
    assert verb.plan(source, tiny.codec, 80).n_canvas_samples == take.audio.n_samples


@every_verb
def test_a_take_depends_on_its_seed_alone(tiny: Model, verb: Task) -> None:
    source = clip(0.9)
    five, nine = takes(tiny, source, verb, [5, 9])
    (alone,) = takes(tiny, source, verb, [9])
    assert np.array_equal(alone.audio.samples, nine.audio.samples)
    assert torch.equal(alone.tokens, nine.tokens)
    assert torch.equal(alone.mask, nine.mask)
    assert not np.array_equal(five.audio.samples, nine.audio.samples)


@every_verb
def test_a_take_let_go_is_not_kept_while_the_next_is_made(tiny: Model, verb: Task) -> None:
    alive: list[bool] = []
    first: Callable[[], object] = lambda: None  # noqa: E731

    made = tiny.takes(
        clip(0.9), verb, seeds=[5, 9], config=QUICK, progress=lambda *_: alive.append(first() is not None)
    )
    take = next(made)
    first, alive[:] = weakref.ref(take.audio.samples), []
    assert first() is not None
    del take
    assert next(made).seed == 9
    assert alive
    assert not any(alive)


@every_verb
def test_progress_grows_to_its_end(tiny: Model, verb: Task) -> None:
    told: list[float] = []
    made = tiny.takes(
        clip(0.9),
        verb,
        seeds=[5, 9],
        config=QUICK,
        stereo="channels",
        progress=lambda step, n: told.append(step / n),
    )
    assert [take.seed for take in made] == [5, 9]
    assert told == sorted(set(told))
    assert told[-1] == 1


@every_verb
def test_nothing_learns(tiny: Model, verb: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients are off while a take is made, and as they were when it is given out."""
    grads: list[bool] = []

    def watched(name: str) -> None:
        own = getattr(regenerate, name)
        monkeypatch.setattr(
            regenerate, name, lambda *args, **named: (grads.append(torch.is_grad_enabled()), own(*args, **named))[1]
        )

    for name in ("encode_ranges", "generate", "decode_long"):
        watched(name)
    for _ in tiny.takes(clip(0.9), verb, seeds=[5], config=QUICK):
        assert torch.is_grad_enabled()
    assert len(grads) >= 3
    assert not any(grads)


@every_verb
@pytest.mark.parametrize("n_channels", [1, 2])
def test_silence_is_valid(tiny: Model, verb: Task, n_channels: int) -> None:
    silent = Waveform(np.zeros((n_channels, 40000), np.float32), 44100)
    (take,) = takes(tiny, silent, verb, [1])
    assert np.isfinite(take.audio.samples).all()
