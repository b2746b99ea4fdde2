"""The best of many takes, plots, spans from label files, and `vamp info`."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import REQUESTS, Song, Vamp
from vampcli import read

SPAN = ("--span", "0.3-0.6")


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores by seed: 7 is the best of 3 to 7, 5 is silent."""
    from vampcli.scoring.scores import Reference, Scores

    monkeypatch.setattr(
        Reference,
        "score",
        lambda _, take, _attacks: Scores(0.0, 0.0, hopeless="silent" if take.seed == 5 else "", total=float(take.seed)),
    )


@pytest.mark.usefixtures("ranked")
def test_best_are_written_the_best_first(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source = song(seconds=1)
    ran = quick("inpaint", source, *SPAN, "-n", 4, "--keep", 2, "-o", f"{tmp_path}/best/", "--json")
    assert "kept 2 of 5 takes; hopeless were: 1 silent" in ran.err
    assert [take["seed"] for take in ran.facts] == [7, 6]  # 7 in place of the silent 5
    assert sorted(p.name for p in (tmp_path / "best").iterdir()) == ["song.inpaint.6.wav", "song.inpaint.7.wav"]
    assert [take["scores"]["total"] for take in ran.facts] == [7, 6]
    alone = quick("inpaint", source, *SPAN, "--seed", 7, "-o", tmp_path / "alone.wav")
    assert np.array_equal(read(alone.out.strip()).samples, read(tmp_path / "best/song.inpaint.7.wav").samples)


@pytest.mark.usefixtures("ranked")
def test_names_by_rank(quick: Vamp, song: Song, tmp_path: Path) -> None:
    command = "inpaint", song(seconds=1), *SPAN, "-n", 3, "--keep", 2, "--name", "{stem}.{n}.wav", "--skip-existing"
    first, second = (tmp_path / f"song.{n}.wav" for n in (1, 2))
    ran = quick(*command, "--json")
    assert [(take["output"], take["seed"]) for take in ran.facts] == [(str(first), 6), (str(second), 4)]
    again = quick(*command)
    assert (again.code, again.out) == (0, "")

    kept, lost = first.read_bytes(), second.read_bytes()
    second.unlink()
    assert quick(*command).out.split() == [str(second)]
    assert (first.read_bytes(), second.read_bytes()) == (kept, lost)


@pytest.mark.usefixtures("ranked")
def test_one_best_goes_into_one_file(quick: Vamp, song: Song, tmp_path: Path) -> None:
    ran = quick("loop", song(seconds=1), "-n", 3, "--keep", 1, "-o", tmp_path / "x.wav", "--json")
    assert [(take["output"], take["seed"]) for take in ran.facts] == [(str(tmp_path / "x.wav"), 6)]


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
def test_errors_come_before_any_work(
    vamp: Vamp, song: Song, no_model: None, options: tuple[object, ...], code: int, says: str
) -> None:
    vamp("inpaint", song(seconds=1), *SPAN, *options).refuses(code, says)


@pytest.mark.parametrize("option", ["--sidecar", "--plot"])
def test_companions_are_not_overwritten(quick: Vamp, song: Song, tmp_path: Path, no_model: None, option: str) -> None:
    source = song(seconds=1)
    existing = source.with_name("song.inpaint.3.wav.json") if option == "--sidecar" else tmp_path / "p.png"
    existing.write_text("precious")
    ran = quick("inpaint", source, *SPAN, option, *([existing] if option == "--plot" else []))
    ran.refuses(3, f"{existing} exists")
    assert existing.read_text() == "precious"


# --- plots


@pytest.mark.parametrize("command", REQUESTS)
def test_every_command_draws(quick: Vamp, song: Song, tmp_path: Path, command: str) -> None:
    out, plots = tmp_path / "made.wav", tmp_path / "plots"
    ran = quick(command, song(seconds=1, n_channels=2), *REQUESTS[command], "-o", out, "--plot", f"{plots}/")
    assert ran.code == 0, ran.err
    assert [path.name for path in plots.iterdir()] == ["made.png"]
    assert (plots / "made.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_plots_are_named_like_results(quick: Vamp, song: Song, tmp_path: Path, no_model: None) -> None:
    options = *SPAN, "--plot", f"{tmp_path}/plots/"
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        song(f"{folder}/x.wav", seconds=1)
    quick("inpaint", tmp_path / "a/x.wav", tmp_path / "b/x.wav", *options).refuses(2, "would both become")
    existing = tmp_path / "plots/4/x.png"
    existing.parent.mkdir(parents=True)
    existing.write_bytes(b"PNG")
    by_seed = "-n", 2, "--name", "{seed}/{stem}.wav", "-o", f"{tmp_path}/made/", "--dry-run"
    assert f"{existing} exists" in quick("inpaint", tmp_path / "a/x.wav", *options, *by_seed).err


@pytest.mark.parametrize("command", REQUESTS)
def test_prompts_are_drawn_without_a_model(
    vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path, no_model: None, command: str
) -> None:
    line = "mask", command, song(seconds=1), *REQUESTS[command], "-m", tiny_folder, "--plot", tmp_path / "p.png"
    assert vamp(*line).code == 0
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert "exists" in vamp(*line).err


def test_token_files_are_drawn(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path) -> None:
    packed, there, back = tmp_path / "a.vamp", tmp_path / "there.svg", tmp_path / "back.svg"
    assert quick("compress", song(seconds=1), "-o", packed, "--plot", there).code == 0
    assert vamp("compress", packed, "-o", tmp_path / "b.wav", "--plot", back, "-m", tiny_folder).code == 0
    assert [path.read_text()[:5] for path in (there, back)] == ["<?xml"] * 2


def test_spans_come_from_a_label_file(quick: Vamp, song: Song, tmp_path: Path, no_model: None) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("0.1\t0.2\ta\n0.5\t0.75\tb\n")
    ran = quick("inpaint", song(seconds=1), "--spans-from", labels, "--span", "0.8-0.9", "--json", "--dry-run")
    assert ran.facts[0]["spans_s"] == [[0.1, 0.2], [0.5, 0.75], [0.8, 0.9]]


# --- info


def test_info_of_plain_sound(vamp: Vamp, song: Song) -> None:
    (facts,) = vamp("info", song(seconds=2, rate=48000, n_channels=2, subtype="PCM_24"), "--json").facts
    named = ("format", "subtype", "sample_rate", "n_channels", "n_samples", "recipe")
    assert [facts[key] for key in named] == ["WAV", "PCM_24", 48000, 2, 96000, None]
    assert -40 < facts["lufs"] < -5
    assert 230 < facts["bpm"] < 250 or 115 < facts["bpm"] < 125  # a note every 0.25 s


def test_levels_are_measured(vamp: Vamp, tmp_path: Path) -> None:
    """A tone of 1 kHz at full scale in one channel has -3.01 LUFS, by definition."""
    tone = 0.5 * np.sin(2 * np.pi * 997 * np.arange(96000) / 48000)
    sf.write(tmp_path / "a.wav", tone, 48000, "FLOAT")
    sf.write(tmp_path / "b.wav", 0 * tone, 48000, "FLOAT")
    sf.write(tmp_path / "c.wav", tone[:5], 48000, "FLOAT")
    loud, silent, short = vamp("info", *(tmp_path / f"{n}.wav" for n in "abc"), "--json").facts
    assert loud["lufs"] == pytest.approx(-9.03, abs=0.1)
    assert loud["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert [silent[key] for key in ("lufs", "peak_dbfs", "bpm")] == [None, None, None]
    assert (short["lufs"], short["bpm"]) == (None, None)
    page = vamp("info", tmp_path / "b.wav").out
    assert "silence" in page
    assert "no beat found" in page


def test_info_of_results(quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path) -> None:
    packed, loop = tmp_path / "a.vamp", tmp_path / "loop.wav"
    quick("compress", song(seconds=1), "--period", 2, "-o", packed)
    quick("loop", song(seconds=1), "--span", "0.1-0.9", "-o", loop, "--sidecar")
    tokens, looped, sidecar = vamp("info", packed, loop, f"{loop}.json", "--quick", "--json").facts
    assert (tokens["period"], tokens["keep_codebooks"], tokens["n_bytes"]) == (2, 4, packed.stat().st_size)
    assert looped["loop_s"] == [0.0, 0.8]
    assert sidecar["recipe"] == looped["recipe"]
    assert looped["recipe"]["command"] == "loop"
    page = vamp("info", packed, loop, f"{loop}.json", "--quick").out
    for words in ("bit/s (4 codebooks, period 2)", "0.000-0.800 s", "vamp loop, seed 3", "steps 2"):
        assert words in page, page


def test_info_goes_on_after_a_failure(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"RIFF broken")
    (tmp_path / "c.json").write_text('{"a": 1}')
    long_name = song("x" * 250 + ".wav", seconds=1)  # too long for the name of a sidecar
    ran = vamp("info", tmp_path / "b.wav", tmp_path / "c.json", long_name, "--quick", "--json")
    assert ran.code == 3
    assert ["error" in one for one in ran.facts] == [True, True, False]
    assert "b.wav" in ran.err
    assert "holds no recipe" in ran.err
