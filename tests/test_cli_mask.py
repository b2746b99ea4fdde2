"""`vamp mask`: prompts of all commands, shown or written without a model."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from conftest import REQUESTS, Song, Vamp
from vampcli import read
from vampcli.api import Model
from vampcli.cli.jobs import prompt_table
from vampcli.recipe import token_file

REQUESTS = {**REQUESTS, "vamp": ("--amount", "0.5"), "compress": ("--keep-codebooks", "2", "--period", "3")}


@pytest.fixture
def shown(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """`vamp mask`, with the tiny model: `shown("vamp", path, ...)`."""
    return lambda command, *args: vamp("mask", command, *args, "-m", tiny_folder, "-d", "cpu", "--dtype", "fp32")


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, no_model: None) -> None:
    """No model is loaded, and no file of weights opened."""
    for name in ("safetensors.safe_open", "safetensors.deserialize"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("weights were opened"))
    open_file = io.open

    def watch(file: Any, *args: Any, **named: Any) -> Any:
        assert ".safetensors" not in str(file)
        return open_file(file, *args, **named)

    monkeypatch.setattr("io.open", watch)
    monkeypatch.setattr("builtins.open", watch)


@pytest.mark.parametrize("command", REQUESTS)
@pytest.mark.usefixtures("no_weights")
def test_shows_the_prompt_of_every_command(shown: Vamp, song: Song, command: str) -> None:
    source = song(seconds=1)
    ran = shown(command, source, *REQUESTS[command], "--seed", 3)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{source}: re-makes ")
    assert ran.out.splitlines()[0].endswith(" of work")
    ran = shown(command, source, *REQUESTS[command], "--seed", 3, "-v")
    assert f"{command}, seed 3, " in ran.out
    for word in ("length", "kept", "tokens", "regions", "windows", "coarse", "fine", "bit/s", "time"):
        assert word in ran.out
    assert list(source.parent.iterdir()) == [source]

    (facts,) = shown(command, source, *REQUESTS[command], "--json", "--seed", 3).facts
    length = {"outpaint": 1.35, "loop": 1.6}.get(command, 1.0)
    assert (facts["command"], facts["seed"], facts["output"], facts["n_coarse"]) == (command, 3, None, 2)
    assert facts["duration_s"] == pytest.approx(length, abs=1e-4)
    assert facts["n_frames"] == -(-round(44100 * length) // 768)
    (one,) = facts["passes"]
    assert len(one["kept"]) == 5
    assert one["n_tokens"] == 5 * one["n_frames"]
    assert sum(one["kept"]) * one["n_frames"] == pytest.approx(one["n_kept_tokens"])
    assert facts["n_forwards"] == one["coarse"]["n_forwards"] + one["fine"]["n_forwards"] > 0
    assert facts["seconds"] > 0


def test_bit_rate_equals_the_token_files(shown: Vamp, vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    source = song(seconds=1, n_channels=2)
    options = (source, *REQUESTS["compress"], "--stereo", "channels", "--json")
    shown_rate = shown("compress", *options).facts[0]["passes"][0]["bits_per_second"]
    (done,) = vamp("compress", *options, "--dry-run", "-m", tiny_folder).facts
    assert shown_rate == pytest.approx(done["bits_per_second"])
    assert shown_rate == pytest.approx(2 * 20 * 2 * 5)  # channels, frames kept of 58, codebooks, bits


def test_work_grows_with_takes_and_channels(shown: Vamp, song: Song) -> None:
    source = song(seconds=1, n_channels=2)

    def forwards(*args: object) -> int:
        return int(shown("vamp", source, "--json", "--seed", 1, *args).facts[0]["n_forwards"])

    assert forwards("-n", 3) == 3 * forwards()
    assert forwards("--stereo", "channels") == 2 * forwards()
    assert forwards("--feedback", 3) == 3 * forwards()
    assert forwards("--steps", 1, "--fine-steps", 1) < forwards()


def test_time_is_estimated_on_cpus_only() -> None:
    facts: dict[str, Any] = dict.fromkeys(("n_frames", "duration_s", "frame_rate", "n_coarse"), 1)
    facts |= {"passes": [], "takes": 1, "n_channels": 1, "n_forwards": 3, "seconds": None}
    assert "no estimate" in prompt_table.table(facts, [], "utf-8")


# --- the picture


def test_picture_shows_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "9")
    kept = np.repeat([0, 0.001, 0.25, 0.5, 0.75, 0.999, 1, 0], 10)
    assert prompt_table.picture(kept, "utf-8") == " ▁▂▄▆▇█ "
    assert prompt_table.picture(kept, "ascii") == " .:=*#@ "
    assert prompt_table.picture(kept[[0, 61]], "latin-1") == " @"


def test_no_line_is_wider_than_terminal(shown: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    lines = shown("vamp", song(seconds=1), "-v").out.splitlines()
    assert 49 in [len(line) for line in lines if set(line) <= set(" ▁▂▃▄▅▆▇█")]


# --- files


def test_written_mask_gives_the_same_tokens(
    shown: Vamp, vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, path = song(seconds=3), tmp_path / "mask.npy"
    ran = shown("vamp", source, "--period", 5, "--seed", 7, "-o", path)
    assert (ran.code, ran.out) == (0, f"{path}\n")
    assert "re-makes" in ran.err
    mask = np.load(path, allow_pickle=False)
    assert (mask.dtype, mask.shape) == (bool, (5, 173))
    made: list[Any] = []
    make_takes = Model.takes

    def watch(*args: Any, **named: Any) -> Any:
        for take in make_takes(*args, **named):
            made.append(take.tokens)
            yield take

    monkeypatch.setattr(Model, "takes", watch)
    quick = (source, "-m", tiny_folder, "--steps", 2, "--seed", 7, "-d", "cpu", "--dtype", "fp32")
    assert vamp("vamp", *quick, "--period", 5, "-o", tmp_path / "a.wav").code == 0
    again = vamp("vamp", *quick, "--mask", path, "-o", tmp_path / "b.wav")
    assert again.code == 0, again.err
    assert made[0].equal(made[1])
    assert read(tmp_path / "b.wav").n_samples == read(source).n_samples


@pytest.mark.parametrize("command", ["inpaint", "outpaint", "compress"])
def test_a_mask_file_covers_the_result(shown: Vamp, song: Song, tmp_path: Path, command: str) -> None:
    ran = shown(command, song(seconds=4), *REQUESTS[command], "--seed", 1, "-o", tmp_path / "m.npy")
    assert ran.code == 0, ran.err
    hidden = np.load(tmp_path / "m.npy").all(0)
    n_frames = -(-round(44100 * (4.35 if command == "outpaint" else 4)) // 768)
    assert hidden.shape == (n_frames,)
    time = (np.arange(n_frames) + 0.5) * 768 / 44100
    inner = {"inpaint": (time > 0.3) & (time < 0.6), "outpaint": (time < 0.1) | (time > 4.1)}
    wanted = inner.get(command, np.arange(n_frames) % 3 > 0)
    near = 2 if command != "compress" else 0  # frames of margin, and those that a span touches
    assert all(hidden[wanted])
    assert hidden.sum() - wanted.sum() <= 2 * near


def test_several_masks_go_to_a_folder(shown: Vamp, song: Song, tmp_path: Path) -> None:
    sources = [song(f"{name}.wav", seconds=1) for name in "ab"]
    ran = shown("vamp", *sources, "-o", tmp_path / "masks", "-q")
    paths = [tmp_path / "masks" / f"{name}.vamp.0.npy" for name in "ab"]
    assert (ran.code, ran.out, ran.err) == (0, "".join(f"{path}\n" for path in paths), "")
    assert all(path.is_file() for path in paths)
    shown("vamp", *sources, "-o", tmp_path / "masks").refuses(3, "exists")
    assert shown("vamp", *sources, "-o", tmp_path / "masks", "--skip-existing").out == ""
    assert shown("vamp", *sources, "-o", tmp_path / "masks", "--overwrite").code == 0
    assert shown("vamp", sources[0], "--name", "{stem}.npy", "--dry-run").out == f"{tmp_path / 'a.npy'}\n"
    assert not (tmp_path / "a.npy").exists()


@pytest.mark.parametrize(
    ("command", "options", "says"),
    [
        ("vamp", ("-o", "mask.wav"), "no name of a mask"),
        ("vamp", ("--name", "{stem}.wav"), "no name of a mask"),
        ("vamp", ("-o", "-"), "no sound"),
        ("vamp", ("-o", "mask.npy", "--feedback", "2"), "holds one pass"),
        ("loop", ("-o", "mask.npy", "--seam", "0.3"), "turned by half"),
        ("loop", ("-o", "mask.npy", "--seam", "0"), "no model"),
        ("vamp", ("--stereo", "left"), "'mid'"),
    ],
)
def test_refuses_impossible_outputs(
    shown: Vamp, song: Song, tmp_path: Path, command: str, options: tuple[str, ...], says: str
) -> None:
    source = song(seconds=1)
    shown(command, source, *options).refuses(2, says)
    assert list(tmp_path.iterdir()) == [source]


def test_prompt_of_a_token_file(shown: Vamp, vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path) -> None:
    source, path = song(seconds=1, n_channels=2), tmp_path / "song.vamp"
    wanted = ("--keep-codebooks", 2, "--period", 3, "--stereo", "channels", "--seed", 5, "--steps", 4)
    assert vamp("compress", source, *wanted, "-m", tiny_folder, "-o", path).code == 0
    (of_sound,) = shown("compress", source, *wanted, "--json").facts
    (of_file,) = shown("compress", path, "--json").facts
    assert len(token_file.load(path).tokens) == of_file["n_channels"] == 2
    assert of_file["seed"] == 5
    assert of_file["passes"] == of_sound["passes"]
    assert of_file["n_forwards"] == of_sound["n_forwards"]


def test_sound_comes_from_stdin(shown: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch) -> None:
    data = song(seconds=1).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    (facts,) = shown("vamp", "-", "--json").facts
    assert (facts["input"], facts["duration_s"]) == ("-", 1.0)


# --- `vamp vamp --mask`


@pytest.mark.parametrize(
    "option", ["--amount 0.5", "--preset unconditional", "--period 3", "--beats", "--feedback 2", "--stretch 2"]
)
def test_a_mask_excludes_other_prompts(vamp: Vamp, song: Song, option: str) -> None:
    vamp("vamp", song(seconds=1), "--mask", "m.npy", *option.split()).refuses(2, "--mask")


def test_refuses_a_mask_of_another_length(
    vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path, no_weights: None
) -> None:
    np.save(tmp_path / "m.npy", np.ones(57, bool))
    ran = vamp("vamp", song(seconds=1), "--mask", tmp_path / "m.npy", "-m", tiny_folder)
    ran.refuses(3, "(57,)", "58 frames", "vamp mask")


def test_spans_and_pitch_go_with_mask(vamp: Vamp, song: Song, tmp_path: Path, tiny_folder: Path) -> None:
    source = song(seconds=1)
    np.save(tmp_path / "m.npy", np.arange(58) < 40)
    ran = vamp(
        "vamp", source, "--mask", tmp_path / "m.npy", "-m", tiny_folder, "--span", "0.5-0.9", "--steps", 1, "--json"
    )
    assert ran.code == 0, ran.err
    (facts,) = ran.facts
    assert facts["spans_s"] == [[0.5, pytest.approx(40 * 768 / 44100, abs=1 / 44100)]]
    (before, _), (after, _) = sf.read(source), sf.read(facts["output"])
    assert np.array_equal(before[:22050], after[:22050])
    assert np.array_equal(before[30721:], after[30721:])
    assert not np.array_equal(before, after)
    assert vamp("vamp", source, "--mask", tmp_path / "m.npy", "-m", tiny_folder, "--pitch", 2, "--steps", 1).code == 0
