"""What is added to a recording is made from what exists, and leaves the recording alone."""

from __future__ import annotations

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
from vampcli.errors import InputError, UsageError
from vampcli.tasks import regenerate
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.plan import Plan

CODEC = tiny_parts().codec


@pytest.mark.parametrize(
    ("rate", "n_channels", "before_s", "after_s"),
    [
        (8000, 1, 0, 3.2),  # more than two contexts
        (8000, 2, 0.4, 0.5),
        (44100, 2, 1.6, 1.5),
        (44100, 1, 0.02, 0),
        (48000, 2, 3.2, 0),
        (48000, 1, 0.8, 1.234567),
    ],
)
def test_the_recording_stays_as_it_is_to_the_bit(
    tiny: Model, rate: int, n_channels: int, before_s: float, after_s: float
) -> None:
    source = clip(0.9, rate, n_channels)
    (take,) = tiny.outpaint(source, before_s=before_s, after_s=after_s, config=QUICK)
    before, after = round(before_s * rate), round(after_s * rate)
    samples = take.audio.samples
    assert samples.shape == (n_channels, before + source.n_samples + after)
    assert np.array_equal(samples[:, before : before + source.n_samples], source.samples)
    check_kept(take)  # so there is sound in all that was added


def test_no_click_where_the_recording_begins_and_ends(tiny: Model) -> None:
    source = clip(1.0)
    for take in tiny.outpaint(source, before_s=0.5, after_s=0.5, n_takes=3, config=QUICK):
        for place in (22050, 22050 + 44100):
            assert junction_figure(take.audio.samples, 44100, place) <= LIMIT


def random_plan(seed: int) -> tuple[Plan, int]:
    """A plan for a short or a long recording, with any margin and context, and how much the models see."""
    rng = np.random.default_rng(seed)
    rate = int(rng.choice([8000, 44100, 48000]))
    source = Waveform(np.zeros((1, int(rng.integers(1, 4 * rate))), np.float32), rate)
    before_s, after_s = rng.uniform(0.02, 4, 2) * [(1, 1), (0, 1), (1, 0)][seed % 3]
    margin = rng.choice(["auto", "0", "1", "7"])
    context_s = rng.choice([None, 0.018, 0.035, 0.06, 0.5, 9])
    request = Outpaint(after_s, before_s, "auto" if margin == "auto" else int(margin), context_s)
    return request.plan(source, CODEC, 80), 80 if context_s is None else min(80, max(2, round(context_s * 57.42)))


@pytest.mark.parametrize("seed", range(120))
def test_every_turn_sees_what_exists_and_a_context_of_it(seed: int) -> None:
    plan, context = random_plan(seed)
    missing = {frame for start, end in plan.hidden for frame in range(start, end)}
    existing = set(range(plan.first_frame, plan.first_frame + plan.n_frames)) - missing
    for turn in plan.turns:
        seen, own = set(range(turn.first, turn.end)), set(range(*turn.hidden))
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
def test_turn_by_turn_every_token_is_filled_once(seed: int, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = random_plan(seed)
    absent = -7

    def generate(_networks: Model, tokens: Tensor, mask: Tensor, *_: object) -> Tensor:
        assert (tokens[mask] == absent).all()
        assert (tokens[~mask] != absent).all()
        return torch.where(mask, 1, tokens)

    monkeypatch.setattr(regenerate, "generate", generate)
    mask = plan.mask(5)
    tokens = torch.where(mask, absent, 0).expand(1, 2, -1, -1)
    filled = regenerate.refill(tiny, plan, tokens, mask[None], [3], QUICK)
    assert torch.equal(filled, torch.where(mask, 1, 0).expand(1, 2, -1, -1))


def test_what_is_far_from_the_recording_is_made_from_what_was_made(tiny: Model) -> None:
    """The last turn of these greedy takes sees nothing of the recordings, and yet goes on from them."""
    greedy = replace(QUICK, temperature=0, mask_temperature=0)
    one, other = (
        tiny.outpaint(clip(1.5, seed=seed), after_s=3, config=greedy)[0].tokens[0, :, -40:] for seed in (1, 2)
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize("added", [{"after_s": 0.01}, {"before_s": 0.01, "after_s": 1}])
def test_less_than_a_frame_is_refused(added: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"10\.0 ms are to be added") as caught:
        Outpaint(**added).plan(clip(), CODEC, 80)
    assert "17.4 ms" in caught.value.hint


def test_adding_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing is to be added"):
        Outpaint()


@pytest.mark.parametrize("added", [{"after_s": -1}, {"before_s": float("nan")}, {"after_s": float("inf")}])
def test_no_amount_is_refused(added: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"(after|before) is"):
        Outpaint(**added)


def test_more_than_two_channels_are_refused() -> None:
    with pytest.raises(InputError, match="3 channels"):
        Outpaint(1).plan(clip(0.5, n_channels=3), CODEC, 80)
