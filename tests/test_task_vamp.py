"""Variations keep their prompt, and everything outside their spans."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from clips import QUICK, check_kept, clip, doubled, inside
from vampcli import Take, Waveform
from vampcli.api import Model
from vampcli.audio import beats, splice, stereo
from vampcli.audio.clicks import LIMIT, junction_figure
from vampcli.config import PromptConfig, TempoConfig
from vampcli.errors import InputError
from vampcli.sampling.placement import window_starts
from vampcli.tasks import recall, render, vary
from vampcli.tasks.recording import Recording
from vampcli.tasks.regenerate import encode_context
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.take import Stereo, TakeOptions
from vampcli.tasks.vamp import Vamp
from vampcli.tokens import mask_file
from vampcli.tokens.mask_file import MaskFile
from vampcli.tokens.masks import Mask

HOP = 768


def made(tiny: Model, source: Waveform, request: Vamp, seed: int = 0, stereo: Stereo = "mid") -> Take:
    (take,) = tiny.takes(source, request, TakeOptions([seed], QUICK, stereo))
    return take


def encoded(tiny: Model, source: Waveform, request: Vamp, stereo: Stereo = "mid") -> Tensor:
    """Tokens of a clip: int64 (n_model_channels, n_codebooks, n_frames)."""
    return encode_context(
        tiny, source, request.plan(Recording(source), tiny.codec, 80), TakeOptions(stereo=stereo)
    ).tokens


PROMPTS = {
    "period": PromptConfig(),
    "codebooks": PromptConfig(keep_codebooks=2),
    "chance": PromptConfig(intensity=0.6),
    "all together": PromptConfig(5, 2, 3, dropout=0.3, intensity=0.9),
    "nothing": PromptConfig(0),
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("spans", [(), [(0.3, 0.61), (1.2, 1.3)]])
@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_kept_tokens_stay(tiny: Model, prompt: PromptConfig, spans: list[tuple[float, float]], stereo: Stereo) -> None:
    source, request = clip(1.5, n_channels=2), Vamp(prompt, SpanRequest(spans))
    take = made(tiny, source, request, stereo=stereo)
    before = encoded(tiny, source, request, stereo)
    assert take.tokens.shape == before.shape
    assert torch.equal(take.tokens[:, ~take.mask], before[:, ~take.mask])
    outside = ~request.plan(Recording(source), tiny.codec, 80).mask(5)
    assert not take.mask[outside].any()
    check_kept(take)


@pytest.mark.parametrize("spans", [(), [(0.3, 0.61), (1.2, 1.3)]])
def test_hidden_tokens_do_not_matter(
    tiny: Model, spans: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, request = clip(1.5), Vamp(PromptConfig(5, keep_codebooks=3), SpanRequest(spans))
    take = made(tiny, source, request)
    own = vary.encode_context

    def changed(*args: object, **options: object) -> object:
        """Other tokens where the take's are hidden."""
        scene = own(*args, **options)  # type: ignore[arg-type]
        return replace(scene, tokens=torch.where(take.mask, (scene.tokens + 1) % 32, scene.tokens))

    monkeypatch.setattr(vary, "encode_context", changed)
    assert torch.equal(made(tiny, source, request).tokens, take.tokens)


def test_prefix_and_suffix_stay(tiny: Model) -> None:
    source = clip(1.5, n_channels=2)
    take = made(tiny, source, Vamp(PromptConfig(0), prefix=0.4, suffix=0.25))
    assert take.spans == ((17640, 66150 - 11025),)
    check_kept(take)
    inside = made(tiny, source, Vamp(PromptConfig(0), SpanRequest([(0.2, 0.6), (0.8, 1.4)]), 0.1, 0.2))
    assert inside.spans == ((13230, 26460), (35280, 52920))
    check_kept(inside)


# --- passes


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Given tokens, mask and filled tokens of every pass."""
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    own: Callable[..., Tensor] = vary.refill

    def watched(networks: Model, plan: object, tokens: Tensor, mask: Mask, options: TakeOptions) -> Tensor:
        filled = own(networks, plan, tokens, mask, options)
        seen.append((tokens.clone(), torch.from_numpy(mask), filled.clone()))
        return filled

    monkeypatch.setattr(vary, "refill", watched)
    return seen


def test_passes_start_from_the_one_before(tiny: Model, passes: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    source = clip(1.2)
    take = made(tiny, source, Vamp(PromptConfig(feedback=3)))
    assert len(passes) == 3
    masks = [mask for _, mask, _ in passes]
    assert all(not torch.equal(one, other) for one, other in pairwise(masks))
    for (_, _, filled), (given, _, _) in pairwise(passes):
        assert torch.equal(filled, given)
    for given, mask, filled in passes:
        assert torch.equal(given[0][:, ~mask[0]], filled[0][:, ~mask[0]])
    assert torch.equal(take.tokens, passes[-1][2][0])
    assert torch.equal(take.mask, masks[-1][0])


def test_passes_have_different_noise(tiny: Model, passes: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """With nothing kept, a second pass with equal noise would have an equal result."""
    made(tiny, clip(0.8), Vamp(PromptConfig(0, feedback=2)))
    (_, _, first), (_, _, second) = passes
    assert not torch.equal(first, second)


# --- stretch and pitch


@pytest.mark.parametrize(("rate", "factor"), [(44100, 2), (48000, 3), (8000, 2)])
@pytest.mark.parametrize("prompt", [PromptConfig(1), PromptConfig(3, keep_codebooks=2)])
def test_stretch_spreads_the_frames(tiny: Model, rate: int, factor: int, prompt: PromptConfig) -> None:
    source = clip(0.8123, rate, 2)
    alone = made(tiny, source, Vamp(prompt))
    take = made(tiny, source, Vamp(replace(prompt, stretch=factor)))
    assert take.audio.samples.shape == (2, factor * source.n_samples)
    before = encoded(tiny, source, Vamp())
    old, kept = take.tokens[:, :, ::factor], ~take.mask[:, ::factor]
    n = old.shape[2]
    assert torch.equal(old[:, kept], before[:, :, :n][:, kept])
    is_new = torch.arange(take.mask.shape[1]) % factor != 0
    assert take.mask[:, is_new].all()
    assert torch.equal(kept, ~alone.mask[:, :n])
    assert np.abs(take.audio.samples).max() > 0.01


def test_later_passes_keep_stretched_frames(tiny: Model) -> None:
    take = made(tiny, clip(0.6), Vamp(PromptConfig(1, stretch=2, feedback=2)))
    assert not take.mask.any()


def test_pitch_shifts_inside_spans_alone(tiny: Model) -> None:
    source, places = clip(1.2), SpanRequest([(0.4, 0.8)])
    before = encoded(tiny, source, Vamp(at=places))
    take = made(tiny, source, Vamp(PromptConfig(1, pitch=5), places))
    inside = Vamp(at=places).plan(Recording(source), tiny.codec, 80).mask(5)
    assert torch.equal(take.tokens[:, ~inside], before[:, ~inside])
    assert (take.tokens[:, inside] != before[:, inside]).float().mean() > 0.2
    check_kept(take)


def test_pitch_is_exact(tiny: Model) -> None:
    t = torch.arange(44100) / 44100
    tone = torch.sin(2 * torch.pi * 300 * t)[None]
    for semitones, hz in ((12, 600), (-12, 150), (7, 449.5), (11, 566.3), (-8, 189)):
        shifted = vary.shift_pitch(tone, semitones)
        assert shifted.shape == tone.shape
        assert float(torch.fft.rfft(shifted[0]).abs().argmax()) == pytest.approx(hz, abs=2)
    assert made(tiny, clip(0.02), Vamp(PromptConfig(1, pitch=-3))).audio.n_samples == 882  # shorter than a window


# --- the dial


@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_amounts_of_0_and_1(tiny: Model, stereo: Stereo) -> None:
    source = clip(1.0, n_channels=2)
    nothing = made(tiny, source, Vamp(amount=0), stereo=stereo)
    assert not nothing.mask.any()
    assert torch.equal(nothing.tokens, encoded(tiny, source, Vamp(), stereo))
    assert made(tiny, source, Vamp(amount=1), stereo=stereo).mask.all()


def test_larger_amounts_hide_more(tiny: Model) -> None:
    source = clip(3.0)
    amounts = np.linspace(0, 1, 9).tolist()
    shares = np.array([[drawn(tiny, source, Vamp(amount=a), seed).mean() for a in amounts] for seed in range(8)])
    assert (np.diff(shares) >= 0).all()
    assert (np.diff(shares.mean(0)) > 0).all()


def test_amount_keeps_effects(tiny: Model, passes: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    take = made(tiny, clip(0.5), Vamp(PromptConfig(feedback=2, stretch=2, pitch=1), amount=0.4))
    assert len(passes) == 2
    assert take.audio.n_samples == 44100


# --- beats and onsets


def events_kept(take: Take, times: list[float], width_s: float) -> list[bool]:
    """Kept frames, computed sample by sample."""
    kept = np.zeros(take.mask.shape[1] * HOP, dtype=bool)
    for time in times:
        kept[round(time * 44100) : round((time + width_s) * 44100)] = True
    return [bool(frame.any()) for frame in kept.reshape(-1, HOP)]


@pytest.mark.parametrize(
    ("asked", "tempo", "times", "width_s"),
    [
        ({"beats": True}, TempoConfig(bpm=120), [0, 0.5, 1.0, 1.5], 0.075),
        ({"beats": True, "beat_width": 20}, TempoConfig(150, 0.3), [0.3, 0.7, 1.1, 1.5], 0.02),
        ({"beats": True, "downbeats_only": True}, TempoConfig(150, 0.1, 3), [0.1, 1.3], 0.075),
        ({"onsets": True}, TempoConfig(), [0.21, 0.9], 0.05),
        ({"beats": True, "onsets": True}, TempoConfig(bpm=60), [0, 1.0, 0.21, 0.9], 0.0),
    ],
)
def test_frames_at_beats_and_onsets(
    tiny: Model,
    asked: dict[str, object],
    tempo: TempoConfig,
    times: list[float],
    width_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beats, "onsets_s", lambda *_: (0.21, 0.9))
    take = made(tiny, clip(1.6), Vamp(PromptConfig(**asked), SpanRequest(tempo=tempo)))  # type: ignore[arg-type]
    if width_s:
        expected = events_kept(take, times, width_s)
    else:  # both kinds, each with its own width
        pairs = zip(events_kept(take, times[:2], 0.075), events_kept(take, times[2:], 0.05), strict=True)
        expected = [one or other for one, other in pairs]
    assert (~take.mask).tolist() == [expected] * 5


def test_beats_inside_a_late_span(tiny: Model) -> None:
    """The models see the clip from a later frame on; times count from its beginning."""
    request = Vamp(PromptConfig(beats=True), SpanRequest([(3.0, 3.6)], TempoConfig(bpm=75)))  # one beat there: 3.2 s
    source = clip(5.0)
    plan = request.plan(Recording(source), tiny.codec, 80)
    take = made(tiny, source, request)
    first, last = (plan.hidden[0][i] - plan.first_frame for i in (0, 1))
    kept = (~take.mask[0, first:last]).nonzero()[:, 0] + plan.hidden[0][0]
    assert plan.first_frame > 0
    assert (kept.min(), kept.max()) == (int(3.2 * 44100 // HOP), int((3.275 * 44100 - 1) // HOP))


def test_stretch_spreads_beats(tiny: Model) -> None:
    prompt, places = PromptConfig(beats=True), SpanRequest(tempo=TempoConfig(bpm=120))
    alone = made(tiny, clip(1.0), Vamp(prompt, places))
    take = made(tiny, clip(1.0), Vamp(replace(prompt, stretch=2), places))
    assert torch.equal(take.mask[:, ::2], alone.mask)
    assert take.mask[:, 1::2].all()
    again = made(tiny, clip(1.0), Vamp(replace(prompt, stretch=2, feedback=2), places))
    assert (~again.mask[0]).tolist() == events_kept(again, [0.0, 1.0], 0.075)


# --- clicks


def test_no_window_edge_clicks(tiny: Model) -> None:
    source = clip(4.5)
    take = made(tiny, source, Vamp())
    n_frames = take.mask.shape[1]
    starts = window_starts(take.mask.any(0), 80)
    assert len(starts) > 3
    places = sorted({frame * HOP for start in starts for frame in (start, start + 80)} - {0, n_frames * HOP})
    figures = [junction_figure(take.audio.samples, 44100, place) for place in places]
    assert max(figures) <= LIMIT


def turning(seconds: float = 3.0) -> Waveform:
    """A tone that moves between left and right."""
    t = np.arange(round(seconds * 44100)) / 44100
    angle = np.pi / 4 * (1 + np.sin(np.pi * t))
    tone = 0.3 * np.sin(2 * np.pi * 220 * t) + 0.001 * np.random.default_rng(0).standard_normal(len(t))
    return Waveform((np.stack([np.cos(angle), np.sin(angle)]) * tone).astype(np.float32), 44100)


@pytest.mark.parametrize("source", [clip(3.0), doubled(clip(3.0)), turning()], ids=["mono", "doubled", "turning"])
@pytest.mark.parametrize("stretch", [1, 2])
def test_rendering_in_blocks_changes_nothing(
    tiny: Model, source: Waveform, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stereo, "_IMAGE_STEP", 2**14)
    request = Vamp(PromptConfig(stretch=stretch))
    whole = made(tiny, source, request).audio.samples
    monkeypatch.setattr(splice, "_BLOCK", 2**15)
    np.testing.assert_allclose(made(tiny, source, request).audio.samples, whole, rtol=0, atol=1e-3)


def test_moving_stereo_image_does_not_click(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tone replaces the generated audio, so that a jump of its image would click."""
    source = turning()
    mid = source.samples.mean(axis=0, keepdims=True)
    monkeypatch.setattr(render, "_decoder", lambda *_: lambda _span: lambda start, stop: mid[:, start:stop])
    monkeypatch.setattr(stereo, "_IMAGE_STEP", 2**14)
    monkeypatch.setattr(splice, "_BLOCK", 2**15)
    samples = made(tiny, source, Vamp()).audio.samples
    assert max(junction_figure(samples, 44100, place) for place in range(4096, 132000, 4096)) <= LIMIT
    left, right = np.square(samples).reshape(2, 10, -1).mean(axis=2)
    assert (left / right).max() > 4 * (left / right).min()  # and it does change


# --- mask files


def mask_from(path: Path, mask: np.ndarray) -> MaskFile:
    np.save(path / "own.npy", mask)
    return mask_file.pin(path / "own.npy")


def drawn(tiny: Model, source: Waveform, request: Vamp, seed: int = 0) -> np.ndarray:
    """The mask of a take, bool (n_codebooks, n_frames) of the whole clip."""
    plan, n_frames = request.plan(Recording(source), tiny.codec, 80), -(-source.n_samples // HOP)
    (one,) = request.passes(Recording(source), plan, tiny.codec, tiny.coarse.config, seed)
    return one.on_canvas(n_frames)


@pytest.mark.parametrize("spans", [(), [(1.3, 1.9), (4.0, 4.2)]])
@pytest.mark.parametrize("prompt", [PromptConfig(), PromptConfig(5, 2, 3, intensity=0.9), PromptConfig(intensity=0.01)])
@pytest.mark.parametrize("pitch", [0, 3])
def test_mask_of_prompt_gives_equal_tokens(
    tiny: Model, tmp_path: Path, spans: list[tuple[float, float]], prompt: PromptConfig, pitch: int
) -> None:
    source, asked = clip(5.0), Vamp(replace(prompt, pitch=pitch), SpanRequest(spans))
    mask = drawn(tiny, source, asked, seed=7)
    again = Vamp(PromptConfig(pitch=pitch), SpanRequest(spans), mask=mask_from(tmp_path, mask))
    first, second = made(tiny, source, asked, 7), made(tiny, source, again, 7)
    assert torch.equal(first.mask, second.mask)
    assert torch.equal(first.tokens, second.tokens)


@pytest.mark.parametrize("rate", [44100, 48000, 22050])
def test_frames_kept_whole_stay(tiny: Model, tmp_path: Path, rate: int) -> None:
    source = clip(2.0, rate, n_channels=2)
    n_frames = 115
    rng = np.random.default_rng(1)
    mask = (rng.random((5, n_frames)) < 0.3) & (rng.random(n_frames) < 0.5)
    take = made(tiny, source, Vamp(at=SpanRequest([(0.3, 1.0), (1.2, 1.7)]), mask=mask_from(tmp_path, mask)))
    check_kept(take)
    place = (np.arange(source.n_samples) + 0.5) / rate  # the middle of each sample decides, but where frames meet
    frame = (place * 44100 / HOP).astype(int)
    named = ((place > 0.3) & (place < 1.0)) | ((place > 1.2) & (place < 1.7))
    differs = inside(take) != (mask.any(0)[frame] & named)
    meets = np.flatnonzero(np.diff(frame))
    assert np.isin(np.flatnonzero(differs), [*meets, *(meets + 1)]).all()
    assert not take.mask[:, ~mask.any(0)].any()
    assert take.mask.any()


@pytest.mark.parametrize(
    ("rate", "n_samples"), [(44100, 76800), (44100, 76801), (48000, 83592), (48000, 83593), (44101, 76802)]
)
def test_last_frame_alone(tiny: Model, tmp_path: Path, rate: int, n_samples: int) -> None:
    """The third and the last clip have less than a sample in it."""
    source = Waveform(clip(2.0, rate).samples[:, :n_samples], rate)
    n_frames = tiny.grid.n_frames(tiny.grid.n_samples(source.n_samples, rate))
    take = made(tiny, source, Vamp(mask=mask_from(tmp_path, np.arange(n_frames) == n_frames - 1)))
    ((start, end),) = take.spans
    assert start < end == source.n_samples
    assert torch.equal(take.mask.any(0), torch.arange(n_frames) == n_frames - 1)


def test_mask_that_hides_nothing(tiny: Model, tmp_path: Path) -> None:
    source, mask = clip(1.0), np.arange(58) < 10
    with pytest.raises(InputError, match=r"own\.npy hides nothing$"):
        Vamp(mask=mask_from(tmp_path, mask & False)).plan(Recording(source), tiny.codec, 80)
    with pytest.raises(InputError, match="hides nothing where"):
        Vamp(at=SpanRequest([(0.5, 0.9)]), mask=mask_from(tmp_path, mask)).plan(Recording(source), tiny.codec, 80)
    with pytest.raises(InputError, match="58 frames"):
        Vamp(mask=mask_from(tmp_path, mask[1:])).plan(Recording(source), tiny.codec, 80)


# --- the sound of the recording, changed


def test_edit_is_the_share_of_the_change(tiny: Model) -> None:
    source = clip(2.0, n_channels=2)
    copy, half, whole, alone = (
        made(tiny, source, Vamp(PromptConfig(period=3), edit=edit)) for edit in (0.0, 0.5, 1.0, "off")
    )
    assert np.array_equal(copy.audio.samples, source.samples)
    assert torch.equal(half.tokens, alone.tokens)
    nearer, farther, farthest = (np.abs(take.audio.samples - source.samples).mean() for take in (half, whole, alone))
    assert 0 < nearer < farther < farthest


def test_kept_frames_keep_their_sound(tiny: Model) -> None:
    source, request = clip(4.0), Vamp()
    plan = request.plan(Recording(source), tiny.codec, 80)
    context = encode_context(tiny, source, plan, TakeOptions(rendering=3))
    tokens = context.tokens.clone()
    tokens[..., 40:60] = (tokens[..., 40:60] + 1) % tiny.grid.codebook_size
    with torch.inference_mode():
        result = recall.edit_spans(tiny, context, tokens, 1.0)
    error = np.abs(result.samples - source.samples)[0] / np.abs(source.samples).mean()
    assert error[40 * HOP : 60 * HOP].mean() > 0.1
    assert error[2 * 44100 + 60 * HOP :].max() < 0.01  # the level of a second around the change follows


def test_nothing_kept_leaves_no_trace(tiny: Model) -> None:
    source = clip(1.0)
    takes = [made(tiny, source, Vamp(PromptConfig(0), edit=edit)) for edit in (1.0, "off")]
    assert np.array_equal(*(take.audio.samples for take in takes))
