"""Outpainting extends a recording and keeps it bit-identical."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from clips import QUICK, check_kept, clip
from conftest import tiny_parts
from vampcli import Waveform
from vampcli.api import Model
from vampcli.audio.clicks import LIMIT, junction_figure
from vampcli.tasks import regenerate
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.plan import Plan
from vampcli.tasks.recording import Recording
from vampcli.tasks.take import TakeOptions

CODEC = tiny_parts().codec


@pytest.mark.parametrize(
    ("rate", "n_channels", "before", "after"),
    [
        (8000, 1, 0, 3.2),  # more than two contexts
        (8000, 2, 0.4, 0.5),
        (44100, 2, 1.6, 1.5),
        (44100, 1, 0.02, 0),
        (48000, 2, 3.2, 0),
        (48000, 1, 0.8, 1.234567),
    ],
)
def test_recording_stays_bit_identical(tiny: Model, rate: int, n_channels: int, before: float, after: float) -> None:
    source = clip(0.9, rate, n_channels)
    (take,) = tiny.outpaint(source, before=before, after=after, sampling=QUICK)
    before, after = round(before * rate), round(after * rate)
    samples = take.audio.samples
    assert samples.shape == (n_channels, before + source.n_samples + after)
    assert np.array_equal(samples[:, before : before + source.n_samples], source.samples)
    check_kept(take)  # so there is sound in all that was added


def test_no_click_at_either_end(tiny: Model) -> None:
    source = clip(1.0)
    for take in tiny.outpaint(source, before=0.5, after=0.5, takes=3, sampling=QUICK):
        for place in (22050, 22050 + 44100):
            assert junction_figure(take.audio.samples, 44100, place) <= LIMIT


def random_plan(seed: int) -> tuple[Plan, int]:
    """A plan with random lengths, margin and context, and the number of frames that the models see."""
    rng = np.random.default_rng(seed)
    rate = int(rng.choice([8000, 44100, 48000]))
    source = Waveform(np.zeros((1, int(rng.integers(1, 4 * rate))), np.float32), rate)
    before, after = rng.uniform(0.02, 4, 2) * [(1, 1), (0, 1), (1, 0)][seed % 3]
    margin = rng.choice(["auto", "0", "1", "7"])
    context_s = rng.choice([None, 0.018, 0.035, 0.06, 0.5, 9])
    task = Outpaint(after, before, "auto" if margin == "auto" else int(margin), context_s)
    context = 80 if context_s is None else min(80, max(2, round(context_s * 57.42)))
    return task.plan(Recording(source), CODEC, 80), context


@pytest.mark.parametrize("seed", range(60))
def test_calls_see_existing_frames_only(seed: int) -> None:
    plan, context = random_plan(seed)
    missing = {frame for start, end in plan.hidden for frame in range(start, end)}
    existing = set(range(plan.first_frame, plan.first_frame + plan.n_frames)) - missing
    for call in plan.calls:
        seen, own = set(range(call.first, call.end)), set(range(*call.hidden))
        assert own
        assert own <= seen & missing  # filled for the first time
        assert seen - own <= existing
        assert len(seen) <= context
        assert len(own) <= max(1, context // 2)
        assert seen - own or not existing  # something to go by
        missing -= own
        existing |= own
    assert not missing


@pytest.mark.parametrize("seed", range(6))
def test_every_token_is_filled_once(seed: int, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = random_plan(seed)
    absent = -7

    def generate(_networks: Model, tokens: Tensor, mask: Tensor, *_: object) -> Tensor:
        assert (tokens[mask] == absent).all()
        assert (tokens[~mask] != absent).all()
        return torch.where(mask, 1, tokens)

    monkeypatch.setattr(regenerate, "generate", generate)
    mask = torch.from_numpy(plan.mask(5))
    tokens = torch.where(mask, absent, 0).expand(1, 2, -1, -1)
    filled = regenerate.refill(tiny, plan, tokens, plan.mask(5)[None], TakeOptions([3], QUICK))
    assert torch.equal(filled, torch.where(mask, 1, 0).expand(1, 2, -1, -1))


def test_later_calls_see_generated_frames(tiny: Model) -> None:
    """The last call of these greedy takes sees nothing of the recordings, and yet continues them."""
    greedy = replace(QUICK, temperature=0, mask_temperature=0)
    one, other = (
        tiny.outpaint(clip(1.5, seed=seed), after=3, sampling=greedy)[0].tokens[0, :, -40:] for seed in (1, 2)
    )
    assert not torch.equal(one, other)
