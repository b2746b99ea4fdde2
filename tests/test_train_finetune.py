import json
import os
import signal
from pathlib import Path

import pytest
import torch

from conftest import Song, Vamp
from vampcli.checkpoints import adapter_file
from vampcli.checkpoints.headers import stored_hash
from vampcli.errors import ExitCode, InputError, UsageError
from vampcli.model import lora
from vampcli.train import finetune as finetuning
from vampcli.train.finetune import FineTuneConfig, Material, gather, learn
from vampcli.train.pieces import pieces_of_files

CPU = torch.device("cpu")


@pytest.fixture
def material(song: Song, tiny_folder: Path, tmp_path: Path) -> Material:
    (tmp_path / "work").mkdir()
    return gather(pieces_of_files([str(song(seconds=4))], licence="CC0-1.0"), tiny_folder, tmp_path / "work", CPU)


def test_the_end_is_held_out(material: Material) -> None:
    n_frames = {
        name: finetuning.load_tensors(getattr(material, name) / "codes.safetensors")["codes"].shape[1]
        for name in ("train", "held_out")
    }
    assert n_frames["held_out"] == material.n_held_out == round(material.n_frames * 0.2)
    assert sum(n_frames.values()) == material.n_frames == 230
    assert material.sources == ({"title": "song", "author": "", "licence": "CC0-1.0", "seconds": 4.0},)


@pytest.mark.parametrize("part", ["coarse", "fine"])
def test_steps_lower_the_held_out_loss(part: str, material: Material, tiny_folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in tiny_folder.iterdir()}
    reports: list[tuple[int, int]] = []
    config = FineTuneConfig(steps=40, learning_rate=0.03)
    learned = learn(tiny_folder, part, material, config, 0, CPU, lambda *at: reports.append(at))
    assert learned.after < learned.before - 0.1
    assert (learned.n_steps, learned.is_interrupted, reports[-1]) == (40, False, (40, 40))
    assert len(learned.pairs) == 2 * len(lora.TARGETS)
    assert {path.name: path.read_bytes() for path in tiny_folder.iterdir()} == files


def test_adapter_depends_on_the_seed(material: Material, tiny_folder: Path) -> None:
    def b_of(seed: int) -> torch.Tensor:
        config = FineTuneConfig(steps=2, seed=seed)
        return learn(tiny_folder, "fine", material, config, 0, CPU).pairs["layers.0.query"][1]

    assert torch.equal(b_of(1), b_of(1))
    assert not torch.equal(b_of(1), b_of(2))


def test_minutes_end_training(material: Material, tiny_folder: Path) -> None:
    learned = learn(tiny_folder, "fine", material, FineTuneConfig(), 0.002, CPU)
    assert learned.n_steps >= 1
    assert not learned.is_interrupted


def test_interrupt_keeps_the_pairs(material: Material, tiny_folder: Path) -> None:
    def interrupt(step: int, _: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    learned = learn(tiny_folder, "fine", material, FineTuneConfig(steps=1000), 0, CPU, interrupt)
    assert learned.is_interrupted
    assert 3 <= learned.n_steps <= 5
    assert learned.pairs["layers.0.query"][1].abs().max() > 0


def test_too_short(song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are 0\.6 s of sound, fine-tuning needs 0\.7 s"):
        gather(pieces_of_files([str(song(seconds=0.6))]), tiny_folder, tmp_path, CPU)


@pytest.mark.parametrize(
    "bad", [{"minutes": 0}, {"minutes": float("nan")}, {"steps": 0}, {"rank": 0}, {"learning_rate": -1}]
)
def test_invalid_options(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        FineTuneConfig(**bad)  # type: ignore[arg-type]


def test_end_to_end(vamp: Vamp, song: Song, home: Path, tiny_folder: Path) -> None:
    path = song(seconds=1.5)
    ran = vamp("finetune", path, "--as", "mine", "-m", "tiny", "--steps", 2, "--rank", 4)
    assert (ran.code, ran.out) == (0, f"{home / 'adapters/mine'}\n"), ran.err
    for text in ("20% held out", "coarse: held-out loss", "fine: held-out loss", "-m tiny+mine", "tiny, MIT"):
        assert text in ran.err
    facts = adapter_file.read(home / "adapters/mine")
    assert (facts.name, facts.base, facts.licence, facts.rank) == ("mine", "tiny", "MIT", 4)
    assert facts.codec_hash == stored_hash(tiny_folder / "codec.safetensors")
    assert facts.sources[0]["title"] == "song"
    assert "tiny+mine" in vamp("models", "list").out
    made = vamp("inpaint", path, "--span", "0.5-1", "-m", "tiny+mine", "--steps", 1, "--seed", 1)
    assert made.code == 0, made.err


def test_output_folder_and_json(vamp: Vamp, song: Song, home: Path, tiny_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "here"
    arguments = ("finetune", song(seconds=1.5), "--as", "x", "-m", tiny_folder, "--steps", 1, "-o", out, "--json")
    facts = json.loads(vamp(*arguments).out)
    assert (facts["output"], facts["model"], facts["licence"]) == (str(out), str(out), "MIT")
    assert set(facts["held_out_loss"]) == {"coarse", "fine"}
    assert adapter_file.read(out).base == str(tiny_folder)
    vamp(*arguments).refuses(ExitCode.INPUT, "holds an adapter", "--overwrite")
    assert vamp(*arguments, "--overwrite").code == 0


def test_unreadable_files_are_skipped(vamp: Vamp, song: Song, home: Path, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    song("music/good.wav", seconds=1.5)
    (tmp_path / "music/bad.wav").write_bytes(b"no sound")
    ran = vamp("finetune", tmp_path / "music", "--as", "x", "-m", "tiny", "--steps", 1)
    assert ran.code == ExitCode.INPUT
    assert "bad.wav" in ran.err
    assert len(adapter_file.load(home / "adapters/x")["fine"]) == 10


def test_interrupt_between_the_models(vamp: Vamp, song: Song, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(model: Path, part: str, *args: object) -> object:
        if part == "fine":
            raise KeyboardInterrupt
        return learn(model, part, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(finetuning, "learn", interrupted)
    ran = vamp("finetune", song(seconds=1.5), "--as", "x", "-m", "tiny", "--steps", 1)
    assert (ran.code, ran.out) == (ExitCode.INTERRUPTED, f"{home / 'adapters/x'}\n")
    assert {part: len(pairs) for part, pairs in adapter_file.load(home / "adapters/x").items()} == {
        "coarse": 10,
        "fine": 0,
    }


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "prepare", lambda *_, **__: pytest.fail("audio was read"))


@pytest.mark.usefixtures("home", "no_reading")
@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--as", "a/b"), ExitCode.USAGE, ("'a/b'", "letters")),
        (("--as", "a+b"), ExitCode.USAGE, ("'a+b'",)),
        (("--as", ".."), ExitCode.USAGE, ("'..'",)),
        (("--as", "x", "--minutes", "0"), ExitCode.USAGE, ("minutes is 0",)),
        (("--as", "x", "--steps", "0"), ExitCode.USAGE, ("0 steps",)),
        (("--as", "x", "-m", "nobody"), ExitCode.MODEL, ("'nobody'", "tiny")),
        (("--as", "x", "-m", "tiny+y"), ExitCode.MODEL, ("no adapter named 'y'", "there are: none")),
        (("--as", "x", "-d", "tpu"), ExitCode.USAGE, ("'tpu'",)),
    ],
)
def test_errors_come_first(
    vamp: Vamp, song: Song, options: tuple[str, ...], code: ExitCode, says: tuple[str, ...]
) -> None:
    vamp("finetune", song(), "-m", "tiny", *options).refuses(code, *says)


def test_adapters_do_not_stack(vamp: Vamp, song: Song, home: Path) -> None:
    assert vamp("finetune", song(seconds=1.5), "--as", "a", "-m", "tiny", "--steps", 1).code == 0
    vamp("finetune", song(), "--as", "b", "-m", "tiny+a").refuses(ExitCode.USAGE, "do not stack")


@pytest.mark.usefixtures("home")
def test_no_readable_audio(vamp: Vamp, tmp_path: Path) -> None:
    vamp("finetune", tmp_path / "no.wav", "--as", "x", "-m", "tiny").refuses(ExitCode.INPUT, "no such file", "no.wav")


def test_command_line_defaults(vamp: Vamp) -> None:
    shown = " ".join(vamp("finetune", "--help").out.split())
    config = FineTuneConfig()
    for value in (config.minutes, config.rank, config.learning_rate, config.seed):
        assert f"[default: {value}]" in shown
