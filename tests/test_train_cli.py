"""The commands of the training road, from audio to a model folder."""

import json
import math
from pathlib import Path

import pytest
import torch

from conftest import TINY_CODEC, Ran, Vamp
from training import LOOP, Line
from vampcli.checkpoints.weights import load_parts
from vampcli.cli.plots.training import panels, read_curves
from vampcli.cli.training_bar import meter, speed
from vampcli.errors import InputError
from vampcli.train.loop import LOG, Trainer


def test_train_and_export_end_to_end(
    vamp: Vamp, prepared: Path, packed: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    def toml(**tables: dict[str, object]) -> str:
        lines = []
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        return "\n".join(lines)

    def run(command: str, text: str, *options: object) -> Ran:
        (tmp_path / f"{command}.toml").write_text(text)
        return vamp("train", command, tmp_path / f"{command}.toml", "-o", tmp_path / command, *options)

    sizes = {f: getattr(TINY_CODEC, f) for f in TINY_CODEC.__dataclass_fields__}
    data = {"train": str(prepared), "validation": str(prepared)}
    loop = {"steps": 4, "batch_size": 2}
    codec = toml(data=data, codec=sizes, loss={"quantizer_dropout": 0.5}, loop=loop)
    assert run("codec", codec).code == 0
    assert run("codec", codec).code == 3  # there is a run already
    assert run("codec", codec.replace("steps = 4", "steps = 5"), "--resume").code == 0
    about = ("--as", "toy", "--licence", "CC0-1.0")
    base = vamp("train", "export", "-o", tmp_path / "base", "--codec", tmp_path / "codec", *about)
    assert base.code == 0, base.err
    assert vamp("train", "tokens", prepared, "-m", tmp_path / "base", "-o", tmp_path / "tokens").code == 0
    data = {"train": str(tmp_path / "tokens"), "validation": str(tmp_path / "tokens"), "codec": str(tmp_path / "base")}
    small = {"n_layers": 1, "width": 16, "n_heads": 2, "context_frames": 40, "codebook_size": 32}
    for command, n_codebooks, n_conditioning in (("coarse", 2, 0), ("fine", 5, 2)):
        model = {"n_codebooks": n_codebooks, "n_conditioning": n_conditioning, **small}
        text = "n_frames = 30\n" + toml(data=data, model=model, loop=loop)
        assert run(command, text).code == 0
        wrong = "fine" if command == "coarse" else "coarse"
        assert run(wrong, text).code in (2, 3)
    made = vamp(
        "train", "export", "-o", tmp_path / "toy", "--codec", tmp_path / "codec", "--coarse", tmp_path / "coarse",
        "--fine", tmp_path / "fine", "--audio", prepared, *about,
    )  # fmt: skip
    assert made.code == 0, made.err
    assert "| p | B | CC0-1.0 | T1 |" in (tmp_path / "toy/CREDITS.md").read_text()
    assert "| CC0-1.0 | 0.00 |" in (tmp_path / "toy/README.md").read_text()
    for part in ("codec", "coarse", "fine"):
        ran = vamp("train", "validate", tmp_path / f"{part}.toml", "-m", tmp_path / "toy", "--part", part)
        assert ran.code == 0, ran.err
        assert all(math.isfinite(figure) for figure in json.loads(ran.out).values())
    model = load_parts(tmp_path / "toy", torch.device("cpu"), torch.float32)
    assert model.coarse is not None
    assert torch.equal(model.coarse.codebooks, model.codec.codebooks[:2])


def test_exit_codes_of_training(vamp: Vamp, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "codec.toml"
    sizes = "".join(f"{f} = {getattr(TINY_CODEC, f)}\n" for f in TINY_CODEC.__dataclass_fields__)
    config.write_text(f'[data]\ntrain = "{prepared}"\nvalidation = "{prepared}"\n[codec]\n{sizes}')
    monkeypatch.setattr(Trainer, "run", lambda trainer, *_: setattr(trainer, "interrupted", True))
    ran = vamp("train", "codec", config, "-o", tmp_path / "run")
    assert (ran.code, ran.out) == (130, f"{tmp_path / 'run'}\n")
    ran = vamp("train", "codec", config, "-o", config)
    assert ran.code == 3
    assert "is no folder" in ran.err


def test_plot_draws_what_was_logged(vamp: Vamp, tmp_path: Path) -> None:
    Trainer(Line(), LOOP, tmp_path).run(1.0, lambda _: None)
    assert vamp("train", "plot", tmp_path).out == f"{tmp_path / 'log.png'}\n"
    assert (tmp_path / "log.png").read_bytes()[:4] == b"\x89PNG"
    assert vamp("train", "plot", tmp_path, "-o", tmp_path / "log.svg").code == 0
    assert vamp("train", "plot", tmp_path, "-o", tmp_path / "picture").code == 2
    steps, values = read_curves(tmp_path)["loss"]
    assert steps == list(range(5, 41, 5))
    assert len(values) == 8


def test_log_of_a_killed_run(tmp_path: Path) -> None:
    lines = [{"step": step, "seconds": 1.0, "loss": loss} for step, loss in ((5, 9.0), (10, 8.0), (5, 7.0), (10, 6.0))]
    whole = [json.dumps(line) + "\n" for line in lines]
    (tmp_path / LOG).write_text(f'{whole[0]}{{"step": 7, "lo{whole[0]}{"".join(whole[1:])}')  # a line was cut
    assert read_curves(tmp_path)["loss"] == ([5, 10], [7.0, 6.0])


def test_panels_group_one_thing() -> None:
    names = ["loss", "validation_loss", "validation_loss_10%", "validation_unigram_loss", "validation_top_1_90%"]
    assert panels([*names, "learning_rate"]) == {"loss": sorted(names[:4]), "top_1": names[4:]}


def test_nothing_to_plot_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=LOG):
        read_curves(tmp_path)
    (tmp_path / LOG).touch()
    with pytest.raises(InputError, match="empty"):
        read_curves(tmp_path)


def test_meter_shows_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with meter(0, 10, 2.0) as each_step:
        assert each_step is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with meter(3, 10, 2.0) as each_step:
        assert each_step is not None
        each_step({"loss": 1.25})
    shown = capsys.readouterr()
    assert "4/10" in shown.err
    assert "1.2500" in shown.err
    assert shown.out == ""


def test_speed_in_words() -> None:
    assert speed(2.0, 10.0) == "2.00 steps/s, 20.0 s of audio/s"
    assert speed(2.0, 0.0) == "2.00 steps/s"
