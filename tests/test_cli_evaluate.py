"""`vamp eval`: one JSON object, and what is wrong said first."""

import json
from pathlib import Path

import pytest

from conftest import Song, Vamp
from vampcli.audio.loudness import level_gain
from vampcli.evaluate.excerpts import load_clip


def test_codec_of_a_folder(vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    song("a.wav", seconds=1)
    folder = song("b.wav", seconds=2, rate=22050, n_channels=2).parent
    ran = vamp("eval", "codec", "-m", tiny_folder, "--codebooks", "5", "--opus", "", "--limit-s", 1, folder)
    assert ran.code == 0, ran.err
    figures = json.loads(ran.out)
    assert [piece["name"] for piece in figures["pieces"]] == ["a.wav", "b.wav"]
    assert figures["seconds"] == pytest.approx(2)
    assert [row["codebooks"] for row in figures["codec"]] == [5]
    assert figures["opus"] == []


def test_tokens_of_a_table(vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    song("a.wav", seconds=2)
    table = tmp_path / "music.tsv"
    rows = [
        f"p\t{name}\tCC0-1.0\t{split}\tme"
        for name, split in (("a.wav", "test"), ("missing.wav", "train"), ("tune.xm", "ood"))
    ]
    table.write_text("\n".join(["package\tpath\tlicence\tsplit\tauthor", *rows]))
    ran = vamp("eval", "tokens", "-m", tiny_folder, "--table", table, "-d", "cpu")
    assert ran.code == 0, ran.err
    figures = json.loads(ran.out)
    assert figures["coarse"]["n_windows"] == 1
    assert [row["ratio"] for row in figures["fine"]["by_ratio"]] == [0.1, 0.3, 0.5, 0.7, 0.9]
    how = ("eval", "tokens", "-m", tiny_folder, "--table", table)
    vamp(*how, "--split", "train").refuses(3, "1 of 1 files are missing")
    assert vamp("eval", "tokens", "--table", table, "--split", "val").code == 3
    vamp(*how, "--split", "ood").refuses(3, "no sound file of the split 'ood'")


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ([], "nothing to measure on"),
        (["a.wav", "--table", "b.tsv"], "both AUDIO and --table"),
        (["a.wav", "--root", "b"], "--root without --table"),
        (["a.wav", "--codebooks", "1,x"], "--codebooks is '1,x'"),
    ],
)
def test_options_that_contradict_each_other(vamp: Vamp, options: list[str], fact: str) -> None:
    vamp("eval", "codec", *options).refuses(2, fact)


def test_more_codebooks_than_there_are(vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    vamp("eval", "codec", "-m", tiny_folder, "--codebooks", "1,6", song()).refuses(2, "1 to 5")


def test_clip_is_mono_and_levelled(song: Song) -> None:
    path = song(seconds=3, rate=22050, n_channels=2)
    clip = load_clip(path, 44100, limit_s=2)
    assert clip.samples.shape == (88200,)
    whole = load_clip(path, 44100)
    assert whole.seconds == pytest.approx(3)
    assert level_gain(load_clip(song(seconds=3), 44100).samples[None].numpy(), 44100) == pytest.approx(1, rel=1e-3)
