"""Plans: spans become hidden frames and sampler calls."""

import numpy as np
import pytest

from conftest import tiny_parts
from vampcli import Waveform
from vampcli.audio.ranges import merge_ranges
from vampcli.tasks.plan import plan_ranges, plan_spans

CODEC = tiny_parts().codec
HOP = 768


def silence(n_samples: int, rate: int = 44100) -> Waveform:
    return Waveform(np.zeros((1, n_samples), dtype=np.float32), rate)


def test_touched_frames_and_margin_are_hidden() -> None:
    clip = silence(100 * HOP)
    start, end = (30 * HOP + 1) / 44100, (33 * HOP + 1) / 44100  # touches frames 30 to 33
    for margin in (0, 1, 5):
        (hidden,) = plan_spans(clip, [(start, end)], CODEC, 80, margin).hidden
        assert hidden == (30 - margin, 34 + margin)


def test_margin_auto_is_the_reach() -> None:
    (exact,) = plan_spans(silence(100 * HOP), [(30 * HOP / 44100, 34 * HOP / 44100)], CODEC, 80, "auto").hidden
    assert exact == (30 - CODEC.encoder_reach, 34 + CODEC.encoder_reach)
    (wider,) = plan_spans(
        silence(100 * 2 * HOP, 88200), [(30 * HOP / 44100, 34 * HOP / 44100)], CODEC, 80, "auto"
    ).hidden
    assert wider == (exact[0] - 1, exact[1] + 1)


def test_models_see_context_on_both_sides() -> None:
    plan = plan_spans(silence(1000 * HOP), [(500 * HOP / 44100, 510 * HOP / 44100)], CODEC, 80, 0)
    assert (plan.first_frame, plan.n_frames) == (420, 170)
    edge = plan_spans(silence(1000 * HOP), [(0, 10 * HOP / 44100)], CODEC, 80, 3)
    assert (edge.first_frame, edge.n_frames, edge.hidden) == (0, 93, ((0, 13),))


def test_shared_frames_count_once() -> None:
    plan = plan_spans(silence(100 * HOP), [(10 * HOP / 44100, 12 * HOP / 44100), (0.23, 0.3)], CODEC, 80, 4)
    frames = {frame for start, end in plan.hidden for frame in range(start, end)}
    assert plan.n_hidden_frames == len(frames)


def test_end_rounded_up_by_a_display() -> None:
    plan = plan_spans(silence(44100 - 100), [(0.5, 1.0)], CODEC, 80)
    assert plan.spans == ((22050, 44000),)


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [([], []), ([(3, 5), (1, 2)], [(1, 2), (3, 5)]), ([(1, 3), (3, 5)], [(1, 5)]), ([(1, 9), (2, 3)], [(1, 9)])],
)
def test_ranges_are_merged(ranges: list[tuple[int, int]], merged: list[tuple[int, int]]) -> None:
    assert merge_ranges(ranges) == merged


@pytest.mark.parametrize("context", [1, 5, 80])
def test_distant_spans_have_separate_calls(context: int) -> None:
    rng = np.random.default_rng(context)
    ranges = [(int(start), int(start) + int(rng.integers(HOP, 9 * HOP))) for start in rng.integers(0, 880 * HOP, 12)]
    plan = plan_ranges(silence(900 * HOP), ranges, CODEC, context, 0)
    hidden = {frame for start, end in plan.hidden for frame in range(start, end)}
    assert len(plan.calls) > 1
    for call in plan.calls:
        seen = set(range(call.first, call.end))
        own = hidden & set(range(*call.hidden))
        assert hidden & seen == own
        near = {frame + i for frame in own for i in range(-context, context + 1)}
        assert seen == near & set(range(900))
        hidden -= own
    assert not hidden
