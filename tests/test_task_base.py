"""Properties of every task."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from clips import QUICK, check_kept, clip, doubled
from vampcli import Take, Waveform
from vampcli.api import Model
from vampcli.config import PromptConfig
from vampcli.errors import InputError, UsageError, VampError
from vampcli.tasks import regenerate, render
from vampcli.tasks.base import Task
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Stereo, TakeOptions
from vampcli.tasks.vamp import Vamp
from vampcli.tokens.mask_file import MaskFile

TASKS: dict[str, Task] = {
    "inpaint": Inpaint(SpanRequest([(0.2, 0.35), (0.6, 0.8)])),
    "outpaint": Outpaint(after=0.4, before=0.3),
    "loop": Loop(repeats=2, seam=0.3),
    "loop-varied": Loop(repeats=2, variation=0.5),
    "vamp": Vamp(PromptConfig(feedback=2), SpanRequest([(0.1, 0.7)])),
    "vamp-stretched": Vamp(PromptConfig(3, stretch=2)),
    "compress": Compress(2, 2),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def takes(tiny: Model, source: Waveform, task: Task, seeds: list[int], stereo: Stereo = "mid") -> list[Take]:
    return list(tiny.takes(source, task, TakeOptions(seeds, QUICK, stereo)))


@every_task
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_equal_channels_stay_equal(tiny: Model, task: Task, stereo: Stereo) -> None:
    (take,) = takes(tiny, doubled(clip(0.9, 48000)), task, [3], stereo)
    assert len(take.tokens) == (2 if stereo == "channels" else 1)
    left, right = take.audio.samples
    assert np.array_equal(left.view(np.uint32), right.view(np.uint32))


@every_task
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_samples_outside_spans_stay(tiny: Model, task: Task, stereo: Stereo) -> None:
    source = replace(clip(0.9, 32000, 2), subtype="PCM_24")
    source.samples.setflags(write=False)  # the input must not change
    (take,) = takes(tiny, source, task, [3], stereo)
    plan = task.plan(Recording(source), tiny.codec, 80)
    assert (take.spans, take.audio.n_samples) == (plan.spans, plan.n_canvas_samples)
    assert (take.audio.sample_rate, take.audio.subtype) == (32000, "PCM_24")
    check_kept(take)


@every_task
def test_passes_give_mask_of_the_take(tiny: Model, task: Task) -> None:
    source = clip(0.9)
    plan = task.plan(Recording(source), tiny.codec, 80)
    (take,) = takes(tiny, source, task, [3])
    passes = task.passes(Recording(source), plan, tiny.codec, tiny.coarse.config, 3)
    assert np.array_equal(passes[-1].mask, take.mask)
    assert passes[-1].mask.shape == (5, passes[-1].plan.n_frames)
    assert take.mask.any()


@every_task
def test_canvas_masks_hide_nothing_else(tiny: Model, task: Task) -> None:
    source = clip(4.0)
    plan = task.plan(Recording(source), tiny.codec, 80)
    for one in task.passes(Recording(source), plan, tiny.codec, tiny.coarse.config, 3):
        first, n_frames = one.plan.first_frame, tiny.grid.n_frames(one.plan.n_canvas_samples)
        whole = one.on_canvas(n_frames)
        assert whole.shape == (5, n_frames)
        assert np.array_equal(whole[:, first : first + one.plan.n_frames], one.mask)
        assert whole.sum() == one.mask.sum()


@every_task
def test_take_depends_on_seed_alone(tiny: Model, task: Task) -> None:
    source = clip(0.9)
    five, nine = takes(tiny, source, task, [5, 9])
    (alone,) = takes(tiny, source, task, [9])
    assert np.array_equal(alone.audio.samples, nine.audio.samples)
    assert torch.equal(alone.tokens, nine.tokens)
    assert torch.equal(alone.mask, nine.mask)
    assert not np.array_equal(five.audio.samples, nine.audio.samples)


@every_task
def test_released_takes_free_their_memory(tiny: Model, task: Task) -> None:
    alive: list[bool] = []
    first: Callable[[], object] = lambda: None  # noqa: E731

    options = TakeOptions([5, 9], QUICK, progress=lambda *_: alive.append(first() is not None))
    made = tiny.takes(clip(0.9), task, options)
    take = next(made)
    first, alive[:] = weakref.ref(take.audio.samples), []
    assert first() is not None
    del take
    assert next(made).seed == 9
    assert alive
    assert not any(alive)


@every_task
def test_progress_grows_to_its_total(tiny: Model, task: Task) -> None:
    told: list[float] = []
    options = TakeOptions([5, 9], QUICK, "channels", lambda step, n: told.append(step / n))
    made = tiny.takes(clip(0.9), task, options)
    assert [take.seed for take in made] == [5, 9]
    assert told == sorted(set(told))
    assert told[-1] == 1


@every_task
def test_gradients_are_off(tiny: Model, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are off while a take is made, and on for the code between two takes."""
    grads: list[bool] = []

    def watched(module: ModuleType, name: str) -> None:
        own = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, **named: (grads.append(torch.is_grad_enabled()), own(*args, **named))[1]
        )

    for module, name in ((regenerate, "encode_ranges"), (regenerate, "generate"), (render, "decode_long")):
        watched(module, name)
    for _ in tiny.takes(clip(0.9), task, TakeOptions([5], QUICK)):
        assert torch.is_grad_enabled()
    assert len(grads) >= 3
    assert not any(grads)


@every_task
@pytest.mark.parametrize("n_channels", [1, 2])
def test_silence(tiny: Model, task: Task, n_channels: int) -> None:
    silent = Waveform(np.zeros((n_channels, 40000), np.float32), 44100)
    (take,) = takes(tiny, silent, task, [1])
    assert np.isfinite(take.audio.samples).all()


# --- errors


@every_task
def test_more_than_two_channels(tiny: Model, task: Task) -> None:
    with pytest.raises(InputError, match="3 channels") as caught:
        task.plan(Recording(clip(0.9, n_channels=3)), tiny.codec, 80)
    assert "mix" in caught.value.hint


MASK = MaskFile("own.npy", "")
BAD_OPTIONS: list[tuple[type[Task], dict[str, Any], str]] = [
    (Outpaint, {}, "nothing is to be added"),
    (Outpaint, {"after": -1}, "after is -1 s"),
    (Outpaint, {"before": nan}, "before is nan s"),
    (Outpaint, {"after": inf}, "after is inf s"),
    (Loop, {"at": SpanRequest([(0, 1), (2, 3)])}, "2 spans"),
    (Loop, {"repeats": 0}, "0 repeats"),
    (Loop, {"repeats": 2, "variation": 1.5}, r"variation is 1\.5"),
    (Loop, {"repeats": 2, "variation": nan}, "variation is nan"),
    (Loop, {"variation": 0.5}, "one repeat has nothing to vary"),
    (Loop, {"seam": -0.1}, r"seam is -0\.1 s"),
    (Loop, {"seam": nan}, "seam is nan s"),
    (Loop, {"seam": inf}, "seam is inf s"),
    (Vamp, {"prefix": -1}, "prefix is -1 s"),
    (Vamp, {"suffix": inf}, "suffix is inf s"),
    (Vamp, {"amount": 1.1}, r"amount is 1\.1"),
    (Vamp, {"amount": nan}, "amount is nan"),
    (Vamp, {"prompt": PromptConfig(stretch=2), "at": SpanRequest([(0, 1)])}, "a stretch moves all of the clip"),
    (Vamp, {"prompt": PromptConfig(stretch=2), "prefix": 1}, "a stretch moves all of the clip"),
    (Vamp, {"prompt": PromptConfig(stretch=2), "suffix": 1}, "a stretch moves all of the clip"),
    (Vamp, {"mask": MASK, "amount": 0.5}, "a mask file says all"),
    (Vamp, {"mask": MASK, "prompt": PromptConfig(feedback=2)}, "a mask file says all"),
    (Compress, {"keep_codebooks": 0}, "0 codebooks"),
    (Compress, {"keep_codebooks": -1}, "-1 codebooks"),
    (Compress, {"period": -1}, "the period is -1"),
]


@pytest.mark.parametrize(("kind", "options", "message"), BAD_OPTIONS)
def test_bad_options(kind: type[Task], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        kind(**options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("task", "error", "message"),
    [
        (Inpaint(SpanRequest()), UsageError, "no span is named"),
        (Outpaint(after=0.01), UsageError, r"10\.0 ms are to be added"),
        (Outpaint(before=0.01, after=1), UsageError, r"10\.0 ms are to be added"),
        (Loop(seam=1.2), InputError, r"2\.00 s long, less than two seams of 1\.2 s"),
        (Loop(SpanRequest([(0.5, 1)]), seam=0.3), InputError, r"0\.50 s long, less than two seams of 0\.3 s"),
        (Loop(seam=0.01), UsageError, "less than a frame"),
        (Loop(seam=1e-9), UsageError, "less than a frame"),
        (Loop(SpanRequest([(0, 3)])), InputError, r"ends at 3 s but the clip is 2\.00 s"),
        (Loop(SpanRequest([(1.5, 0.5)])), UsageError, "before it starts"),
        (Vamp(prefix=1.5, suffix=0.5), InputError, "less than a frame"),
        (Vamp(prefix=9), InputError, "less than a frame"),
        (Vamp(at=SpanRequest([(0, 0.5), (1, 1.5)]), suffix=0.5), InputError, "less than a frame"),
    ],
)
def test_options_that_misfit_the_clip(tiny: Model, task: Task, error: type[VampError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        task.plan(Recording(clip()), tiny.codec, 80)
    assert caught.value.hint
