from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import TINY_CODEC, Ran, music
from vampcli import checkpoint
from vampcli.codec.rvq import ResidualVectorQuantizer
from vampcli.errors import InputError, ModelError, UsageError
from vampcli.model import VampNetConfig
from vampcli.train.codec import CodecTask, fill_from, reseed_unused
from vampcli.train.config import CodecLossConfig, CodecRun, DataConfig, LoopConfig, TokenRun, load_run
from vampcli.train.data import MANIFEST
from vampcli.train.loop import LOG, STATE, Task, Trainer, learning_rate
from vampcli.train.losses import complex_error, mel_error, si_sdr, spectral_convergence
from vampcli.train.tokens import pack
from vampcli.train.transformer import TokenTask, draw_masks

LOOP = LoopConfig(n_steps=40, batch_size=4, learning_rate=3e-3, warmup_steps=5, ema_decay=0.9, log_every=5)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two prepared pieces of two authors."""
    folder = tmp_path_factory.mktemp("prepared")
    entries = []
    for i, author in enumerate(("A", "B")):
        samples = torch.from_numpy((music(4, 44100, seed=i)[0] * 32767).astype(np.int16))
        save_file({"samples": samples}, folder / f"{i}.safetensors")
        entry = {"file": f"{i}.safetensors", "n_samples": len(samples), "author": author, "title": f"T{i}"}
        entries.append({**entry, "licence": "CC0-1.0", "package": "p", "split": "train"})
    (folder / MANIFEST).write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module")
def packed(prepared: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    pack(prepared, tiny_folder, folder)
    return folder


def codec_run(prepared: Path, **loss: object) -> CodecRun:
    data = DataConfig(str(prepared), str(prepared))
    config = CodecLossConfig(**{"quantize_from": 5, "reseed_every": 5, **loss})
    return CodecRun(data, TINY_CODEC, config, replace(LOOP, learning_rate=5e-4, n_steps=60))


def token_run(packed: Path, tiny_folder: Path, n_conditioning: int = 0) -> TokenRun:
    sizes = VampNetConfig(5 if n_conditioning else 2, n_conditioning, 1, 16, 2, 40, 32, dropout=0.1)
    return TokenRun(DataConfig(str(packed), str(packed), codec=str(tiny_folder)), sizes, 30, LOOP)


class Line(Task):
    """The smallest task: fit one number to noise, with a buffer that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.dropout = torch.nn.Dropout(0.5)
        self.register_buffer("n_seen", torch.zeros((), dtype=torch.int64))
        self.poison = -1

    def loss(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        self.n_seen += 1
        target = torch.from_numpy(rng.normal(1, 0.1, 3)).float()
        loss = ((self.dropout(self.weight + 1) - target) ** 2).sum()
        return (loss * math.nan if step == self.poison else loss), {}

    def validate(self) -> dict[str, float]:
        return {"weight": float(self.weight.sum())}


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    straight = Trainer(Line(), LOOP, tmp_path / "a")
    for _ in range(12):
        straight.advance()
    broken = Trainer(Line(), LOOP, tmp_path / "b")
    for _ in range(5):
        broken.advance()
    broken.save()
    resumed = Trainer(Line(), LOOP, tmp_path / "b")
    resumed.resume()
    for _ in range(7):
        resumed.advance()
    straight.save()
    resumed.save()
    one, other = load_file(tmp_path / "a" / STATE), load_file(tmp_path / "b" / STATE)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", ["codec", "coarse", "fine"])
def test_resumed_equals_uninterrupted_for_every_task(
    kind: str, prepared: Path, packed: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    def task() -> Task:
        torch.manual_seed(0)
        if kind == "codec":
            return CodecTask(codec_run(prepared, quantize_from=2, reseed_every=3))
        return TokenTask(token_run(packed, tiny_folder, 2 if kind == "fine" else 0))

    straight = Trainer(task(), LOOP, tmp_path)
    losses = [straight.advance()["loss"] for _ in range(6)]
    broken = Trainer(task(), LOOP, tmp_path)
    for _ in range(3):
        broken.advance()
    broken.save()
    resumed = Trainer(task(), LOOP, tmp_path)
    resumed.resume()
    assert [resumed.advance()["loss"] for _ in range(3)] == losses[3:]


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_a_transformer_learns_its_pieces(packed: Path, tiny_folder: Path, tmp_path: Path, n_conditioning: int) -> None:
    task = TokenTask(token_run(packed, tiny_folder, n_conditioning))
    trainer = Trainer(task, LOOP, tmp_path)
    figures = [trainer.advance() for _ in range(LOOP.n_steps)]
    assert np.mean([f["loss"] for f in figures[-5:]]) < 0.9 * np.mean([f["loss"] for f in figures[:5]])
    with trainer.averaged(), torch.no_grad():
        assert task.eval().validate()["loss_50%"] < math.log(32)


def test_a_codec_learns_and_keeps_its_codes_alive(prepared: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = CodecTask(codec_run(prepared))
    trainer = Trainer(task, task.run.loop, tmp_path)

    def error_on_one_batch() -> float:
        with torch.no_grad():
            return task.loss(1000, np.random.default_rng(99))[1]["mel"]

    for _ in range(6):  # codebooks are filled at step 5
        trainer.advance()
    before = error_on_one_batch()
    for _ in range(task.run.loop.n_steps):
        trainer.advance()
    assert error_on_one_batch() < 0.9 * before
    with torch.no_grad():
        codes = torch.stack([task.codec.encode(clip.float() / 32768) for clip in task.validation_clips[:4]])
    assert min(len(level.unique()) for level in codes.transpose(0, 1)) > 8


def test_a_frozen_encoder_stays_as_it_is(prepared: Path, tmp_path: Path) -> None:
    run = codec_run(prepared, freeze_encoder=True)
    task = CodecTask(run)
    for quantizer in task.codec.quantizers:
        fill_from(quantizer, torch.randn(8, 24, 50), np.random.default_rng(0))
    before = checkpoint.codec_hash(task.codec.state_dict())
    decoder = {name: t.clone() for name, t in task.codec.decoder.state_dict().items()}
    trainer = Trainer(task, LOOP, tmp_path)
    for _ in range(6):
        trainer.advance()
    assert checkpoint.codec_hash(task.codec.state_dict()) == before
    assert any(not torch.equal(t, decoder[name]) for name, t in task.codec.decoder.state_dict().items())


def test_filled_codebooks_code_most_of_the_latents() -> None:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(24, 5, 256, 8)
    latents = torch.einsum(
        "ij,bjf->bif", torch.randn(24, 24), torch.randn(8, 24, 200) * torch.linspace(2, 0.1, 24)[:, None]
    )
    fill_from(quantizer, latents, np.random.default_rng(0))
    with torch.no_grad():
        left = latents - quantizer.decode(quantizer.encode(latents))
    assert left.var() < 0.3 * latents.var()


def test_only_unused_codes_are_moved() -> None:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(24, 5, 32, 8)
    quantizer.codebooks.data.normal_()
    before = quantizer.codebooks.detach().clone()
    unused = torch.rand(5, 32) < 0.3
    reseed_unused(quantizer, torch.randn(2, 24, 50), unused, np.random.default_rng(0))
    moved = (quantizer.codebooks != before).any(-1)
    assert torch.equal(moved, unused)


def test_hidden_share_follows_the_cosine_of_a_uniform_draw() -> None:
    rng = np.random.default_rng(0)
    shares = np.concatenate([draw_masks((8, 4, 400), 0, rng).float().mean((1, 2)).numpy() for _ in range(200)])
    grid = np.sort(shares)
    expected = np.cos(np.pi * (1 - (np.arange(len(grid)) + 0.5) / len(grid)) / 2)
    assert np.abs(grid - expected).max() < 0.06


def test_conditioning_codebooks_are_never_hidden() -> None:
    hidden = draw_masks((16, 9, 100), 4, np.random.default_rng(0))
    assert not hidden[:, :4].any()
    assert hidden.flatten(1).any(1).all()


@pytest.mark.parametrize("n_conditioning", [0, 2])
def test_the_loss_is_that_of_hidden_predicted_tokens(packed: Path, tiny_folder: Path, n_conditioning: int) -> None:
    run = token_run(packed, tiny_folder, n_conditioning)
    task = TokenTask(replace(run, loop=replace(LOOP, dtype="fp32"))).eval()
    loss, figures = task.loss(3, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    clips = task.pool.draw(rng, LOOP.batch_size, 30)[:, : run.model.n_codebooks].long()
    hidden = draw_masks(clips.shape, n_conditioning, rng)
    target = clips[hidden]
    guess = task.model(clips.masked_fill(hidden, 32))[hidden[:, n_conditioning:]]
    plain = torch.nn.functional.cross_entropy(guess, target, label_smoothing=run.label_smoothing)
    assert torch.allclose(loss, plain, rtol=1e-5)
    assert figures["top_1"] == pytest.approx(float((guess.argmax(-1) == target).float().mean()))
    grown = torch.autograd.grad(loss, task.model.classifier.weight)[0]
    assert torch.allclose(grown, torch.autograd.grad(plain, task.model.classifier.weight)[0], atol=1e-6)


def test_nan_stops_and_keeps_the_last_good_weights(tmp_path: Path) -> None:
    task = Line()
    trainer = Trainer(task, LOOP, tmp_path)
    trainer.advance()
    task.poison = 1
    good = task.weight.detach().clone()
    with pytest.raises(ModelError, match="step 1"):
        trainer.advance()
    assert torch.equal(task.weight, good)


def test_averages_are_swapped_in_and_out(tmp_path: Path) -> None:
    trainer = Trainer(Line(), LOOP, tmp_path)
    for _ in range(5):
        trainer.advance()
    weight, average = trainer.task.weight.detach().clone(), trainer.average["weight"].clone()
    with trainer.averaged():
        assert torch.equal(trainer.task.weight, average)
    assert torch.equal(trainer.task.weight, weight)


def test_learning_rate_rises_stays_and_falls() -> None:
    config = LoopConfig(n_steps=100, learning_rate=1.0, warmup_steps=10, decay_from=50)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.05


def test_run_logs_validates_saves_and_stops(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    Trainer(Line(), replace(LOOP, validate_every=20), tmp_path).run(1.0, told.append)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(5, 41, 5))
    assert sum("validation_weight" in line for line in lines) == 2
    assert lines == told


def test_a_signal_saves_before_it_stops(tmp_path: Path) -> None:
    code = (
        "import sys, time, torch; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from test_train import Line; from vampcli.train.config import LoopConfig\n"
        "from vampcli.train.loop import Trainer\n"
        "trainer = Trainer(Line(), LoopConfig(n_steps=10**9, log_every=1), Path(sys.argv[1]))\n"
        "trainer.run(5, lambda _: print('step', flush=True))\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"step\n"
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 0
    assert (tmp_path / STATE).is_file()


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        Trainer(Line(), LOOP, tmp_path).resume()


def test_a_run_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[data]\ntrain = "a"\nvalidation = "b"\n[loop]\nn_steps = 7\n')
    run = load_run(tmp_path / "run.toml", CodecRun)
    assert (run.data.train, run.loop.n_steps, run.loop.batch_size) == ("a", 7, LoopConfig().batch_size)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[data]\ntrain="a"\nvalidation="b"\nspeed=1', "speed"),
        ("[wrong]\nx=1", "wrong"),
        ('[data]\ntrain="a"', "validation"),
        ("=", "not TOML"),
    ],
)
def test_a_bad_run_names_the_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        load_run(tmp_path / "run.toml", CodecRun)


@pytest.mark.parametrize("name", ["codec", "coarse", "fine"])
def test_shipped_runs_are_valid(name: str) -> None:
    path = Path(__file__).parents[1] / f"configs/mini-{name}.toml"
    run = load_run(path, CodecRun if name == "codec" else TokenRun)
    assert run.loop.decay_from < run.loop.n_steps
    if isinstance(run, TokenRun):
        assert run.n_frames <= run.model.context_frames


def test_losses_know_silence_identity_and_level() -> None:
    x = torch.from_numpy(music(1, 44100, 2)).float()
    noisy = x + 0.001 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert mel_error(x, x, 44100) == 0
    assert mel_error(x * 10, x, 44100) == pytest.approx(1.0, abs=0.01)  # 20 dB is 1
    assert 0 < complex_error(noisy, x) < complex_error(torch.zeros_like(x), x)
    assert spectral_convergence(torch.zeros_like(x), x) == pytest.approx(1)
    expected = float((10 * ((x**2).sum(-1) / ((noisy - x) ** 2).sum(-1)).log10()).mean())
    assert float(si_sdr(noisy, x)) == pytest.approx(expected, abs=1.0)
    assert float(si_sdr(noisy * 3, x)) == pytest.approx(float(si_sdr(noisy, x)), abs=1e-3)


def test_train_and_export_end_to_end(
    vamp: Callable[..., Ran], prepared: Path, packed: Path, tiny_folder: Path, tmp_path: Path
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
    loop = {"n_steps": 4, "batch_size": 2}
    codec = toml(data=data, codec=sizes, loss={"quantize_from": 1}, loop=loop)
    assert run("codec", codec).code == 0
    assert run("codec", codec).code == 3  # there is a run already
    assert run("codec", codec.replace("n_steps = 4", "n_steps = 5"), "--resume").code == 0
    about = ("--name", "toy", "--licence", "CC0-1.0")
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
    model = checkpoint.load_parts(tmp_path / "toy", torch.device("cpu"), torch.float32)
    assert model.coarse is not None
    assert torch.equal(model.coarse.codebooks, model.codec.codebooks[:2])
