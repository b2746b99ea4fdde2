"""Errors: exit code, a fact and a cure, before any model is loaded or file written."""

import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import REQUESTS, Ran, Song, Vamp, full_disk
from vampcli.cli.console import Console
from vampcli.errors import ExitCode
from vampcli.tasks.take import TakeOptions


@pytest.fixture(autouse=True)
def mini_is_the_tiny_model(
    tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    (home / "models/mini").symlink_to(tiny_folder)
    monkeypatch.setenv("VAMP_HOME", str(home))


@pytest.fixture(autouse=True)
def no_model_is_loaded(request: pytest.FixtureRequest) -> None:
    """Errors come before the slow part: loading weights would be a failure."""
    if "loads" not in request.keywords:
        request.getfixturevalue("no_model")


def expect(ran: Ran, code: ExitCode, *says: str) -> None:
    """A fact and a cure."""
    ran.refuses(code, *says)
    assert len(ran.err.strip().splitlines()) <= 2


def listing(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("span", "code", "says"),
    [
        (("--start", "1", "--end", "60"), ExitCode.INPUT, ("ends at 60 s but the clip is 3.00 s", "may end at 3 s")),
        (("--start", "5", "--end", "6"), ExitCode.INPUT, ("starts at 5 s",)),
        (("--start", "2", "--end", "1"), ExitCode.USAGE, ("ends at 1 s, before", "swap")),
        (("--start", "1", "--end", "1.001"), ExitCode.USAGE, ("1.0 ms", "17.4 ms")),
        (("--start", "1"), ExitCode.USAGE, ("--end is missing",)),
        (("--end", "1"), ExitCode.USAGE, ("--start is missing",)),
        ((), ExitCode.USAGE, ("no span",)),
        (("--span", "1"), ExitCode.USAGE, ("not a span", "4-6")),
        (("--span", "a-b"), ExitCode.USAGE, ("not a time", "'a'")),
        (("--start", "-1", "--end", "2"), ExitCode.USAGE, ("not a time",)),
        (("--start", "nan", "--end", "2"), ExitCode.USAGE, ("not a time",)),
    ],
)
def test_spans(vamp: Vamp, song: Song, span: tuple[str, ...], code: ExitCode, says: tuple[str, ...]) -> None:
    expect(vamp("inpaint", song(), *span), code, *says)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--seed", "x"), ExitCode.USAGE, ()),
        (("--temperature", "-1"), ExitCode.USAGE, ("temperature is -1.0",)),
        (("--top-p", "0"), ExitCode.USAGE, ("--top-p is 0.0",)),
        (("--steps", "0"), ExitCode.USAGE, ("--steps is 0",)),
        (("-n", "0"), ExitCode.USAGE, ("0 takes",)),
        (("--margin", "x"), ExitCode.USAGE, ("--margin", "auto")),
        (("--stereo", "wide"), ExitCode.USAGE, ("--stereo", "mid")),
        (("--int16", "--float32"), ExitCode.USAGE, ("cannot be combined with --float32",)),
        (("--device", "tpu"), ExitCode.USAGE, ("'tpu'", "mps")),
        (("--dtype", "int8"), ExitCode.USAGE, ("'int8'", "bf16")),
        (("--name", "{what}.wav"), ExitCode.USAGE, ("{what}", "{stem}")),
        (("--name", "{stem.wav"), ExitCode.USAGE, ("no template",)),
        (("--name", "same.wav", "-n", "2"), ExitCode.USAGE, ("{seed}",)),
        (("--name", "a.xyz"), ExitCode.USAGE, (".xyz", ".flac")),
        (("--name", "{seed:{foo}}.wav"), ExitCode.USAGE, (":{foo} in the field {seed}", "without a format")),
        (("--name", "{seed:>999999999}.wav"), ExitCode.USAGE, ("write {seed}",)),
        (("--name", "{stem!r}.wav"), ExitCode.USAGE, ("!r in the field {stem}", "write {stem}")),
        (("--name", "{stem.__class__}.wav"), ExitCode.USAGE, ("{stem.__class__}", "{stem}")),
        (("--name", "{stem[0]}.wav"), ExitCode.USAGE, ("{stem[0]}", "{stem}")),
        (("--name", "{}.wav"), ExitCode.USAGE, ("unknown field {}", "{stem}")),
        (("--name", "../{seed}.wav"), ExitCode.USAGE, ("leaves the folder",)),
        (("--name", "/tmp/{seed}.wav"), ExitCode.USAGE, ("leaves the folder",)),
        (("--name", "a" * 300 + ".wav"), ExitCode.INPUT, ("too long",)),
        (("--temperature", "1e-40"), ExitCode.USAGE, ("temperature is 1e-40", "0.01")),
        (("--sample-cutoff", "nan"), ExitCode.USAGE, ("--sample-cutoff",)),
        (("--margin", "\u00b2"), ExitCode.USAGE, ("--margin",)),
        (("--seed", "1" * 19), ExitCode.USAGE, ("the seed has 19 digits",)),
        (("--overwrite", "--skip-existing"), ExitCode.USAGE, ("cannot be combined",)),
        (("-o", ".wav"), ExitCode.USAGE, ("names no file",)),
        (("-o", "out.xyz"), ExitCode.USAGE, (".xyz", ".wav")),
        (("-n", "2", "-o", "out.wav"), ExitCode.USAGE, ("2 takes", "folder")),
        (("-o", "x.flac", "--float32"), ExitCode.USAGE, ("FLAC holds no FLOAT",)),
        (("-o", "x.ogg", "--int16"), ExitCode.USAGE, ("OGG holds no PCM_16",)),
        (("--device", "cuda:99"), ExitCode.DEVICE, ("cuda:99", "there are: cpu")),
        (("--model", "nobody"), ExitCode.MODEL, ("'nobody'", "mini")),
        (("--model", "a" * 300), ExitCode.MODEL, ("aaa... (300 characters)", "vamp models list")),
        (("--model", "a/" * 3000), ExitCode.MODEL, ("(6000 characters)", "vamp models list")),
    ],
)
def test_options(vamp: Vamp, song: Song, options: tuple[str, ...], code: ExitCode, says: tuple[str, ...]) -> None:
    ran = vamp("inpaint", song(), "--span", "1-2", *options)
    ran.refuses(code, *says)
    assert len(ran.err.strip().splitlines()) <= 2 or options[0] in ("--seed", "--stereo", "--dtype")  # the parser's


def sound(samples: np.ndarray) -> Callable[[Path], None]:
    return lambda path: sf.write(path, samples, 44100, "FLOAT")


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda _: None, "no such file"),
        (Path.mkdir, "holds no sound files"),
        (lambda path: path.write_bytes(b""), "bad.wav"),
        (lambda path: path.write_bytes(b"not a sound"), "bad.wav"),
        (lambda path: path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt "), "bad.wav"),
        (sound(np.zeros((0, 1))), "0 samples"),
        (sound(np.where(np.arange(44100) < 2, np.nan, 0)), "2 samples"),
        (sound(np.where(np.arange(44100) < 2, np.inf, 0)), "2 samples"),
        (sound(np.zeros((44100, 6))), "6 channels"),
    ],
    ids=["missing", "folder", "empty", "text", "header", "no samples", "nan", "infinity", "six channels"],
)
def test_inputs(vamp: Vamp, tmp_path: Path, write: Callable[[Path], object], says: str) -> None:
    write(tmp_path / "bad.wav")
    expect(vamp("inpaint", tmp_path / "bad.wav", "--span", "0.2-0.5"), ExitCode.INPUT, says)


def test_output_exists(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    (tmp_path / "song.inpaint.7.wav").write_bytes(b"mine")
    ran = vamp("inpaint", song(), "--span", "1-2", "--seed", 7)
    expect(ran, ExitCode.INPUT, "exists", "--overwrite")
    assert (tmp_path / "song.inpaint.7.wav").read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_output_is_the_input(vamp: Vamp, song: Song, tmp_path: Path, overwrite: tuple[str, ...]) -> None:
    source = song()
    content = source.read_bytes()
    os.symlink(source, tmp_path / "link.wav")
    for out in (source, tmp_path / "link.wav"):
        expect(vamp("inpaint", source, "--span", "1-2", "-o", out, *overwrite), ExitCode.INPUT, "is the input")
    assert source.read_bytes() == content


def test_impossible_outputs(vamp: Vamp, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr("vampcli.cli.jobs.outputs.os.access", lambda path, mode: "locked" not in str(path))
    how = ("inpaint", song(rate=96000), "--span", "1-2", "-o")
    expect(vamp(*how, f"{tmp_path}/file/below/"), ExitCode.INPUT, str(tmp_path / "file"))
    expect(vamp(*how, tmp_path / "locked"), ExitCode.INPUT, "locked is not writable")
    expect(vamp(*how, tmp_path / "out.mp3"), ExitCode.INPUT, "MP3 cannot hold", "96000 Hz", ".wav")
    expect(vamp("inpaint", "a" * 300 + ".wav", "--span", "1-2"), ExitCode.INPUT, "too long")


def test_nothing_is_written_by_an_error(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    source = song()
    before = listing(tmp_path)
    vamp("inpaint", source, "--span", "1-60", "-o", tmp_path / "out/")
    vamp("inpaint", source, "--span", "1-2", "-o", tmp_path / "out/", "-m", "nobody")
    vamp("inpaint", source, "--span", "1-2", "-o", tmp_path / "out/", "-d", "cuda:99")
    vamp("inpaint", source, "--span", "1-2", "-o", tmp_path / "out/", "--name", "x/{seed}.xyz")
    assert listing(tmp_path) == before


def test_incomplete_model(vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    (broken / "fine.safetensors").unlink()
    expect(vamp("inpaint", song(), "--span", "1-2", "-m", broken), ExitCode.MODEL, "fine.safetensors", "missing")


@pytest.mark.loads
def test_damaged_model_names_the_tensor(vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    tensors = load_file(broken / "coarse.safetensors")
    del tensors["layers.1.query.weight"]
    save_file(tensors, broken / "coarse.safetensors")
    ran = vamp("inpaint", song(), "--span", "1-2", "-m", broken, "-o", tmp_path / "new/")
    expect(ran, ExitCode.MODEL, "layers.1.query.weight")
    assert not (tmp_path / "new").exists()


@pytest.mark.loads
def test_full_disk_leaves_nothing(
    vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = song()
    before = listing(tmp_path)

    monkeypatch.setattr("vampcli.audio.write.sf.SoundFile.write", full_disk)
    ran = vamp("inpaint", source, "--span", "1-2", "-m", tiny_folder, "--steps", 1)
    expect(ran, ExitCode.INPUT, "No space left on device")
    assert listing(tmp_path) == before


@pytest.mark.loads
def test_ctrl_c_keeps_finished_takes(
    vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vampcli.tasks.regenerate

    make = vampcli.tasks.regenerate.refill

    def interrupted(networks: object, plan: object, tokens: object, mask: object, options: TakeOptions) -> object:
        if 2 in options.seeds:
            raise KeyboardInterrupt
        return make(networks, plan, tokens, mask, options)  # type: ignore[arg-type]

    monkeypatch.setattr(vampcli.tasks.regenerate, "refill", interrupted)
    ran = vamp("inpaint", song(), "--span", "1-2", "-m", tiny_folder, "--steps", 1, "--seed", 1, "-n", 3)
    assert ran.code == ExitCode.INTERRUPTED
    assert ran.out == f"{tmp_path / 'song.inpaint.1.wav'}\n"
    assert not list(tmp_path.glob(".*"))


def test_bugs_keep_their_traceback(vamp: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.audio.read.read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # uncaught: the interpreter prints it and exits with 1
        vamp("inpaint", song(), "--span", "1-2")
    assert sys.exc_info() == (None, None, None)


def test_control_characters_of_files_reach_no_terminal(vamp: Vamp, tmp_path: Path) -> None:
    ran = vamp("info", tmp_path / "\x1b[2Jgone\u202e\x9b.wav")
    assert ran.code == ExitCode.INPUT
    assert r"\x1b[2Jgone\u202e\x9b.wav" in ran.err
    assert "\x1b" not in ran.err


def test_notes_and_results_are_escaped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    logging.getLogger("vampcli").warning("a\x1b")
    console.note("b\x1b")
    console.table(["head"], [["c\x1b"]])
    console.result("d\x1b")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    console.result("e\x1b\ttab\nline")
    shown = capsys.readouterr()
    assert shown.out == "d\x1b\ne\\x1b\ttab\nline\n"
    assert [line for line in "abc" if f"{line}\\x1b" not in shown.err] == []


@pytest.mark.parametrize("where", ["vampcli.audio.read.read", "vampcli.cli.jobs.run.find_jobs"])
def test_error_of_the_system_is_an_input_error(
    quick: Vamp, song: Song, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(where, full_disk)
    quick("inpaint", song(seconds=1), *REQUESTS["inpaint"]).refuses(3, "No space left on device")


def test_user_without_a_home(vamp: Vamp, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in ("VAMP_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    vamp("models", "list").refuses(3, "no home directory", "HOME")
