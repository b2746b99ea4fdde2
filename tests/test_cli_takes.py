"""The best of many takes, pictures of them, spans from label files, and what `vamp info` tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import Ran
from vampcli import read

Vamp = Callable[..., Ran]
Song = Callable[..., Path]

SPAN = ("--span", "0.3-0.6")


@pytest.fixture
def quick(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """A command with the tiny model and few steps: `quick("inpaint", path, ...)`."""
    return lambda command, *args: vamp(command, "-m", tiny_folder, "--steps", 2, "--fine-steps", 1, "--seed", 3, *args)


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores by seed: 7 is the best of 3 to 7, 5 is silent."""
    from vampcli.scoring.scores import Reference, Scores

    monkeypatch.setattr(
        Reference,
        "score",
        lambda _, take: Scores(0.0, 0.0, hopeless="silent" if take.seed == 5 else "", total=float(take.seed)),
    )


def said(ran: Ran) -> list[dict[str, object]]:
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_the_best_are_written_the_best_first(quick: Vamp, song: Song, tmp_path: Path, ranked: None) -> None:
    source = song(seconds=1)
    takes = said(quick("inpaint", source, *SPAN, "-n", 4, "--keep", 2, "-o", f"{tmp_path}/best/", "--json"))
    assert [take["seed"] for take in takes] == [7, 6]  # 7 in place of the silent 5
    assert sorted(p.name for p in (tmp_path / "best").iterdir()) == ["song.inpaint.6.wav", "song.inpaint.7.wav"]
    assert [take["scores"]["total"] for take in takes] == [7, 6]  # type: ignore[index]
    (alone,) = said(quick("inpaint", source, *SPAN, "--seed", 7, "-o", tmp_path / "alone.wav", "--json"))
    assert np.array_equal(read(str(alone["output"])).samples, read(tmp_path / "best/song.inpaint.7.wav").samples)


def test_people_hear_what_was_hopeless(quick: Vamp, song: Song, ranked: None) -> None:
    assert "kept 1 of 5 takes; hopeless were: 1 silent" in quick("inpaint", song(), *SPAN, "-n", 4, "--keep", 1).err


def test_names_by_rank(quick: Vamp, song: Song, tmp_path: Path, ranked: None) -> None:
    names = "--name", "{stem}.best{n}.wav", "--skip-existing", "--json"
    first = said(quick("inpaint", song(seconds=1), *SPAN, "-n", 2, "--keep", 2, *names))
    assert [(Path(str(take["output"])).name, take["seed"]) for take in first] == [
        ("song.best1.wav", 4),
        ("song.best2.wav", 3),
    ]
    again = quick("inpaint", song(seconds=1), *SPAN, "-n", 2, "--keep", 2, *names)
    assert (again.code, again.out) == (0, "")


def test_what_is_missing_of_the_best_is_made_again(quick: Vamp, song: Song, tmp_path: Path, ranked: None) -> None:
    options = "-n", 3, "--keep", 2, "--name", "{stem}.{n}.wav", "--skip-existing"
    quick("inpaint", song(seconds=1), *SPAN, *options)
    first, second = (tmp_path / f"song.{n}.wav" for n in (1, 2))
    kept, lost = first.read_bytes(), second.read_bytes()
    first.touch()
    second.unlink()
    ran = quick("inpaint", song(seconds=1), *SPAN, *options)
    assert ran.out.split() == [str(second)], ran.err
    assert (first.read_bytes(), second.read_bytes()) == (kept, lost)


def test_one_best_goes_into_one_file(quick: Vamp, song: Song, tmp_path: Path, ranked: None) -> None:
    (take,) = said(quick("loop", song(seconds=1), "-n", 3, "--keep", 1, "-o", tmp_path / "x.wav", "--json"))
    assert (take["output"], take["seed"]) == (str(tmp_path / "x.wav"), 6)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--keep", 2), 2, "2 of 1 takes are to be kept"),
        (("-n", 4, "--keep", 0), 2, "0 of 4 takes"),
        (("-n", 4, "--keep", 2, "-o", "x.wav"), 2, "names one file, but there are 2 takes"),
        (("-n", 4, "--keep", 2, "--skip-existing"), 2, "cannot know the seeds"),
        (("-n", 4, "--keep", 2, "--name", "{n}.{seed}.wav"), 2, "{n}, the rank, or {seed}, not both"),
        (("--plot", "x.jpg"), 2, "unknown picture format"),
        (("-n", 2, "--plot", "x.png"), 2, "names one picture"),
        (("-o", "-", "--sidecar"), 2, "nothing beside stdout"),
        (("--spans-from", "nothing.txt"), 3, "nothing.txt"),
    ],
)
def test_what_cannot_be_is_said_before_work(
    vamp: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], code: int, says: str
) -> None:
    monkeypatch.setattr("vampcli.api.load", lambda *_: pytest.fail("a model was loaded"))
    ran = vamp("inpaint", song(seconds=1), *SPAN, *options)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err


@pytest.mark.parametrize("kind", ["sidecar", "picture"])
def test_what_lies_beside_is_not_overwritten(quick: Vamp, song: Song, tmp_path: Path, kind: str) -> None:
    source = song(seconds=1)
    there = source.with_name("song.inpaint.3.wav.json") if kind == "sidecar" else tmp_path / "p.png"
    there.write_text("precious")
    options = ("--sidecar",) if kind == "sidecar" else ("--plot", there)
    ran = quick("inpaint", source, *SPAN, *options)
    assert ran.code == 3
    assert f"{there} exists" in ran.err
    assert there.read_text() == "precious"
    assert not source.with_name("song.inpaint.3.wav").exists()


REQUESTS = {
    "inpaint": SPAN,
    "outpaint": ("--after", "0.25", "--before", "0:00.1"),
    "loop": ("--span", "0.1-0.9", "--repeats", "2"),
    "vamp": ("--period", "3"),
    "compress": ("--keep-codebooks", "2"),
}


@pytest.mark.parametrize("command", REQUESTS)
def test_every_command_draws(quick: Vamp, song: Song, tmp_path: Path, command: str) -> None:
    options = *REQUESTS[command], "--plot", f"{tmp_path}/plots/"
    ran = quick(command, song(seconds=1, n_channels=2), *options)
    assert ran.code == 0, ran.err
    assert (tmp_path / f"plots/song.{command}.3.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_picture_of_one_file_lies_in_a_folder_under_its_name(vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    source = song(seconds=1)
    out, plots = source.with_name("made.wav"), source.parent / "plots"
    ran = vamp("inpaint", source, *SPAN, "-m", tiny_folder, "-o", out, "--plot", f"{plots}/")
    assert ran.code == 0, ran.err
    assert [path.name for path in plots.iterdir()] == ["made.png"]


def test_pictures_of_one_name_are_refused_before_work(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        song(f"{folder}/x.wav", seconds=1)
    ran = vamp("inpaint", tmp_path / "a/x.wav", tmp_path / "b/x.wav", *SPAN, "--plot", f"{tmp_path}/plots/")
    assert ran.code == 2
    assert "would both become" in ran.err


def test_pictures_lie_as_results_do(quick: Vamp, song: Song, tmp_path: Path) -> None:
    options = "-n", 2, "--name", "{seed}/{stem}.wav", "-o", f"{tmp_path}/made/", "--plot", f"{tmp_path}/plots/"
    assert quick("inpaint", song(seconds=1), *SPAN, *options).code == 0
    assert sorted(p.relative_to(tmp_path) for p in (tmp_path / "plots").rglob("*.png")) == [
        Path("plots/3/song.png"),
        Path("plots/4/song.png"),
    ]


@pytest.mark.parametrize("command", REQUESTS)
def test_prompts_are_drawn_without_a_model(
    vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("vampcli.api.load", lambda *_: pytest.fail("a model was loaded"))
    plot = "-m", tiny_folder, "--plot", tmp_path / "p.png"
    ran = vamp("mask", command, song(seconds=1), *REQUESTS[command], *plot)
    assert ran.code == 0, ran.err
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert "exists" in vamp("mask", command, song(seconds=1), *REQUESTS[command], *plot).err


def test_token_files_are_drawn(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path) -> None:
    packed, there, back = tmp_path / "a.vamp", tmp_path / "there.svg", tmp_path / "back.svg"
    assert quick("compress", song(seconds=1), "-o", packed, "--plot", there).code == 0
    assert vamp("compress", packed, "-o", tmp_path / "b.wav", "--plot", back, "-m", tiny_folder).code == 0
    assert [path.read_text()[:5] for path in (there, back)] == ["<?xml"] * 2


def test_spans_come_from_a_label_file(quick: Vamp, song: Song, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0.1\t0.2\ta\n0.5\t0.75\tb\n")
    (take,) = said(
        quick("inpaint", song(seconds=1), "--spans-from", tmp_path / "labels.txt", "--span", "0.8-0.9", "--json")
    )
    assert take["spans_s"] == [[0.1, 0.2], [0.5, 0.75], [0.8, 0.9]]


# --- info


def test_info_of_plain_sound(vamp: Vamp, song: Song) -> None:
    ran = vamp("info", song(seconds=2, rate=48000, n_channels=2, subtype="PCM_24"), "--json")
    (facts,) = said(ran)
    assert {key: facts[key] for key in ("format", "subtype", "sample_rate", "n_channels", "n_samples", "recipe")} == {
        "format": "WAV",
        "subtype": "PCM_24",
        "sample_rate": 48000,
        "n_channels": 2,
        "n_samples": 96000,
        "recipe": None,
    }
    assert -40 < float(facts["lufs"]) < -5  # type: ignore[arg-type]
    assert 230 < float(facts["bpm"]) < 250 or 115 < float(facts["bpm"]) < 125  # type: ignore[arg-type]  # a note every 0.25 s


def test_levels_are_measured(vamp: Vamp, tmp_path: Path) -> None:
    """A tone of 1 kHz at full scale in one channel has -3.01 LUFS, by definition."""
    tone = 0.5 * np.sin(2 * np.pi * 997 * np.arange(96000) / 48000)
    sf.write(tmp_path / "a.wav", tone, 48000, "FLOAT")
    sf.write(tmp_path / "b.wav", 0 * tone, 48000, "FLOAT")
    sf.write(tmp_path / "c.wav", tone[:5], 48000, "FLOAT")
    loud, silent, short = said(vamp("info", *(tmp_path / f"{n}.wav" for n in "abc"), "--json"))
    assert float(loud["lufs"]) == pytest.approx(-9.03, abs=0.1)  # type: ignore[arg-type]
    assert float(loud["peak_dbfs"]) == pytest.approx(-6.02, abs=0.01)  # type: ignore[arg-type]
    assert [silent[key] for key in ("lufs", "peak_dbfs", "bpm")] == [None, None, None]
    assert (short["lufs"], short["bpm"]) == (None, None)
    page = vamp("info", tmp_path / "b.wav").out
    assert "silence" in page
    assert "no beat found" in page


def test_info_of_a_token_file_of_a_loop_and_of_a_sidecar(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path) -> None:
    packed, loop = tmp_path / "a.vamp", tmp_path / "loop.wav"
    quick("compress", song(seconds=1), "--period", 2, "-o", packed)
    quick("loop", song(seconds=1), "--span", "0.1-0.9", "-o", loop, "--sidecar")
    tokens, looped, beside = said(vamp("info", packed, loop, f"{loop}.json", "--quick", "--json"))
    assert (tokens["period"], tokens["keep_codebooks"], tokens["n_bytes"]) == (2, 4, packed.stat().st_size)
    assert looped["loop_s"] == [0.0, 0.8]
    assert beside["recipe"] == looped["recipe"]
    assert looped["recipe"]["command"] == "loop"  # type: ignore[index]
    page = vamp("info", packed, loop, f"{loop}.json", "--quick").out
    for words in ("bit/s (4 codebooks, period 2)", "0.000-0.800 s", "vamp loop, seed 3", "n_steps 2"):
        assert words in page, page


def test_info_goes_on_after_a_failure(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"RIFF broken")
    ran = vamp("info", tmp_path / "b.wav", song(), "--quick", "--json")
    assert ran.code == 3
    assert [("error" in json.loads(line)) for line in ran.out.splitlines()] == [True, False]
    assert "b.wav" in ran.err


def test_info_of_json_that_is_no_recipe(vamp: Vamp, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    ran = vamp("info", tmp_path / "a.json")
    assert ran.code == 3
    assert "holds no recipe" in ran.err


def test_info_of_names_that_no_sidecar_can_have(vamp: Vamp, song: Song) -> None:
    assert vamp("info", song("x" * 250 + ".wav"), "--quick").code == 0
