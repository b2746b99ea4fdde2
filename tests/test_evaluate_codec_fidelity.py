"""The codec's figures: the plumbing on a tiny model, and Opus where its programs are there."""

from pathlib import Path

import pytest
import torch

from conftest import music
from vampcli.errors import InputError
from vampcli.evaluate.codec_fidelity import evaluate_codec, fidelity, load_codec, untrained_codec
from vampcli.evaluate.excerpts import Clip
from vampcli.evaluate.opus import is_installed, opus

RATE = 44100
needs_opus = pytest.mark.skipif(not is_installed(), reason="needs opus-tools")


def clip(seconds: float = 1.0, seed: int = 0) -> Clip:
    return Clip("a", torch.from_numpy(music(seconds, RATE, seed=seed)[0]).float(), RATE)


def test_figures_of_a_codec(tiny_folder: Path) -> None:
    codec = load_codec(tiny_folder)
    before = torch.get_num_threads()
    figures = evaluate_codec(codec, untrained_codec(tiny_folder), [clip(), clip(0.5, 1)], n_kept=(1, 5))
    assert torch.get_num_threads() == before
    assert figures["seconds"] == pytest.approx(1.5)
    assert [row["codebooks"] for row in figures["codec"]] == [1, 5]
    kbits = 5 * RATE / codec.grid.hop_length / 1000  # five bits for 32 codes
    assert [row["kbit_s"] for row in figures["codec"]] == pytest.approx([kbits, 5 * kbits])
    codes = [codec.encode(c.samples) for c in (clip(), clip(0.5, 1))]
    wanted = [fidelity(codec.decode(k), c)["mel_error"] for k, c in zip(codes, (clip(), clip(0.5, 1)), strict=True)]
    assert figures["codec"][1]["mel_error"] == pytest.approx(sum(wanted) / 2, abs=1e-4)
    assert len(figures["perplexity"]) == 5
    assert figures["click_share_before"] == 0


def test_untrained_codec_has_other_weights(tiny_folder: Path) -> None:
    codec, first, again, other = load_codec(tiny_folder), *(untrained_codec(tiny_folder, seed) for seed in (0, 0, 1))
    assert first.codebooks.shape == codec.codebooks.shape
    assert float(first.codebooks.std()) == pytest.approx(1, abs=0.1)
    assert torch.equal(first.codebooks, again.codebooks)
    assert not torch.equal(first.codebooks, other.codebooks)


def test_a_perfect_codec_has_no_error() -> None:
    figures = fidelity(clip().samples, clip())
    assert figures["mel_error"] == pytest.approx(0, abs=1e-6)
    assert figures["si_sdr_db"] > 60
    assert figures["spectral_convergence"] == 0


@needs_opus
def test_more_bits_sound_better() -> None:
    piece = clip(2.0)
    few, many = (opus(piece.samples, RATE, kbits) for kbits in (8, 64))
    assert few.n_bytes < many.n_bytes
    assert len(few.samples) == len(many.samples) == len(piece.samples)
    worse, better = (fidelity(o.samples, piece) for o in (few, many))
    assert better["mel_error"] < worse["mel_error"]
    assert better["si_sdr_db"] > 10  # in time with the original


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_installed()
    with pytest.raises(InputError, match="opusenc or opusdec is missing"):
        opus(clip().samples, RATE, 16)
