"""Compression gives the same take through a file or without one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clips import QUICK, clip, doubled
from vampcli import Take, Waveform
from vampcli.api import Model
from vampcli.errors import ModelError
from vampcli.recipe import token_file
from vampcli.recipe.token_file import TokenFile
from vampcli.tasks.compress import Compress
from vampcli.tasks.take import Stereo, TakeOptions


def through_a_file(tiny: Model, source: Waveform, request: Compress, path: Path, stereo: Stereo = "mid") -> Take:
    """Squeeze a clip with seed 7, write and read the file, and expand it."""
    token_file.save(path, tiny.squeeze(source, request, seed=7, sampling=QUICK, stereo=stereo))
    (take,) = tiny.expand(token_file.load(path))
    return take


@pytest.mark.parametrize(
    ("n_kept", "period", "rate", "n_channels", "stereo"),
    [
        (4, 1, 44100, 1, "mid"),
        (1, 3, 48000, 2, "mid"),
        (9, 1, 8000, 2, "channels"),
        (2, 100, 22050, 2, "channels"),
        (3, 0, 11025, 1, "mid"),
        (1, 1, 37800, 1, "mid"),
    ],
)
def test_file_gives_the_same_take(
    tiny: Model, tmp_path: Path, n_kept: int, period: int, rate: int, n_channels: int, stereo: Stereo
) -> None:
    source = replace(clip(1.234567, rate, n_channels), subtype="PCM_24")
    (take,) = tiny.compress(source, n_kept, period, seed=7, sampling=QUICK, stereo=stereo)
    again = through_a_file(tiny, source, Compress(n_kept, period), tmp_path / "a.vamp", stereo)
    assert take.audio.samples.shape == source.samples.shape
    assert np.array_equal(again.audio.samples, take.audio.samples)
    assert (again.audio.sample_rate, again.audio.subtype) == (rate, "PCM_24")
    assert torch.equal(again.tokens, take.tokens)
    assert again.seed == take.seed == 7
    assert np.abs(take.audio.samples).max() > 0.01


@pytest.mark.parametrize(("n_kept", "period"), [(1, 1), (4, 3), (9, 1), (2, 0), (1, 1000)])
def test_kept_tokens_and_mask(tiny: Model, n_kept: int, period: int) -> None:
    source = clip(0.8)
    (take,) = tiny.compress(source, n_kept, period, sampling=QUICK)
    n_frames = take.mask.shape[1]
    kept = [[c < n_kept and period > 0 and f % period == 0 for f in range(n_frames)] for c in range(5)]
    assert (~take.mask).tolist() == kept
    assert torch.equal(take.tokens[0][~take.mask], tiny.encode(source)[~take.mask])
    assert take.tokens.min() >= 0
    assert take.tokens.max() < tiny.grid.codebook_size
    assert take.base is source
    assert take.spans == ((0, source.n_samples),)


def test_hidden_tokens_do_not_matter(tiny: Model) -> None:
    file = tiny.squeeze(clip(0.8), Compress(2, 3), seed=3, sampling=QUICK)
    other = replace(file, tokens=torch.where(file.mask, 5, file.tokens))
    one, two = (next(tiny.expand(f)).audio.samples for f in (file, other))
    assert np.array_equal(one, two)
    changed = replace(file, tokens=(file.tokens + 1) % 32)
    assert not np.array_equal(one, next(tiny.expand(changed)).audio.samples)


def test_everything_kept_draws_nothing(tiny: Model) -> None:
    one, two = tiny.compress(clip(0.6), 5, 1, takes=2, sampling=QUICK)
    assert np.array_equal(one.audio.samples, two.audio.samples)


def test_mid_makes_equal_channels(tiny: Model) -> None:
    source = clip(0.6, n_channels=2)
    (mid,) = tiny.compress(source, sampling=QUICK)
    assert len(mid.tokens) == 1
    assert np.array_equal(mid.audio.samples[0], mid.audio.samples[1])
    (both,) = tiny.compress(source, sampling=QUICK, stereo="channels")
    assert len(both.tokens) == 2
    assert not np.array_equal(both.audio.samples[0], both.audio.samples[1])


@pytest.mark.parametrize("stereo", ["mid", "channels"])
def test_level_is_restored(tiny: Model, stereo: Stereo) -> None:
    """A quieter clip has the same tokens and becomes the same take, quieter."""
    loud = doubled(clip(1.0))
    quiet = replace(loud, samples=loud.samples / 4)
    one, other = (tiny.compress(c, 5, sampling=QUICK, stereo=stereo)[0] for c in (loud, quiet))
    assert torch.equal(one.tokens, other.tokens)
    np.testing.assert_allclose(other.audio.samples, one.audio.samples / 4, rtol=1e-4, atol=1e-6)


def test_seeds_of_a_file(tiny: Model) -> None:
    file = tiny.squeeze(clip(0.6), Compress(1, 2), seed=7, sampling=QUICK)
    takes = list(tiny.expand(file, TakeOptions([7, 8])))
    assert [take.seed for take in takes] == [7, 8]
    assert np.array_equal(takes[0].audio.samples, next(tiny.expand(file)).audio.samples)
    assert not np.array_equal(takes[0].audio.samples, takes[1].audio.samples)


def test_clip_of_one_sample(tiny: Model, tmp_path: Path) -> None:
    source = Waveform(np.full((1, 1), 0.5, np.float32), 44100)
    assert through_a_file(tiny, source, Compress(), tmp_path / "a.vamp").audio.n_samples == 1


def wrong(file: TokenFile, **changes: object) -> TokenFile:
    named = replace(file.recipe, made_by=replace(file.recipe.made_by, model="other"))
    return replace(file, recipe=named, **changes)  # type: ignore[arg-type]


def test_tokens_of_another_model(tiny: Model) -> None:
    file = tiny.squeeze(clip(0.6), Compress(2), sampling=QUICK)
    for foreign in (
        wrong(file, tokens=torch.cat([file.tokens, file.tokens], dim=1)),
        wrong(file, codebook_size=1024),
        wrong(file, n_samples=2 * file.n_samples),
    ):
        with pytest.raises(ModelError, match="tokens are of other, not of "):
            next(tiny.expand(foreign))


def test_bits_equal_those_of_the_file(tiny: Model) -> None:
    source = clip(2.0, n_channels=2)
    for n_kept, period, stereo, n_model_channels in ((2, 1, "mid", 1), (9, 4, "channels", 2)):
        request = Compress(n_kept, period)
        file = tiny.squeeze(source, request, stereo=stereo)  # type: ignore[arg-type]
        assert n_model_channels * request.n_bits(tiny.grid, file.tokens.shape[2]) == file.n_bits
