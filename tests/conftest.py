"""Fixtures: a tiny random model for plumbing, music-like sound, the command run in this process."""

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

from vampcli import SamplingConfig, Waveform
from vampcli.api import Model, load
from vampcli.audio.metadata import carry
from vampcli.checkpoints.folder import ModelConfig, Provenance, model_config
from vampcli.checkpoints.weights import Parts, save_parts
from vampcli.codec.config import MagnitudeConfig
from vampcli.codec.magnitude import MagnitudeCodec
from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import VampNet

os.environ["OMP_NUM_THREADS"] = "1"  # in processes, too: the last bits of samples depend on it
torch.set_num_threads(1)  # tests share the machine; two threads beside another process are slower than one

TINY_CODEC = MagnitudeConfig(
    n_fft=1536,
    bandwidth=0.1,
    latent_dim=24,
    frame_width=24,
    frame_blocks=1,
    subframe_width=16,
    subframe_blocks=1,
    n_codebooks=5,
    codebook_size=32,
    n_phase_steps=2,
)


def random_codec(config: MagnitudeConfig = TINY_CODEC) -> MagnitudeCodec:
    """Random weights at scales that a trained codec could have: codes vary, and decoded sound is audible."""
    torch.manual_seed(0)
    codec = MagnitudeCodec(config)
    codec.quantizer.codebooks.data.normal_()
    rotation = codec.encoder.rotation
    rotation.weight.data.normal_(0, 0.5)
    bands = codec.bands(codec.log_magnitude(torch.from_numpy(music(1, 44100)).float()))
    rotation.bias.data = -rotation.weight.detach() @ bands.reshape(-1, rotation.in_features).mean(0)
    codec.decoder.rotation.weight.data.mul_(0.3)
    codec.decoder.rotation.bias.data.fill_(-0.5)
    codec.decoder.head.weight.data.normal_(0, 0.05)
    if codec.corrector:
        codec.corrector.head.weight.data.normal_(0, 0.02)
    return codec


def tiny_parts() -> Parts:
    """Random weights: they make noise, but every path through the program is the real one."""
    codec = random_codec()
    models = []
    for n_conditioning, n_codebooks, context in ((0, 2, 80), (2, 5, 40)):
        model = VampNet(VampNetConfig(n_codebooks, n_conditioning, 2, 32, 4, context, 32))
        model.codebooks.copy_(codec.codebooks.detach()[:n_codebooks])
        model.mask_rows.data.normal_()
        model.position_bias.data.normal_()
        models.append(model.eval())
    return Parts(codec, models[0], models[1], Provenance("tiny", "MIT", "random weights for tests"))


@pytest.fixture(autouse=True)
def no_configuration(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore configuration files and variables of the developer."""
    nowhere = tmp_path_factory.getbasetemp()
    monkeypatch.chdir(nowhere)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere))
    for variable in set(os.environ) - {"VAMP_HOME"}:
        if variable.startswith("VAMP_"):
            monkeypatch.delenv(variable)


@pytest.fixture
def plain_mini(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded model recommend nothing, so that defaults are those of the dataclasses."""

    def plain(path: Path) -> ModelConfig:
        config = model_config(path)
        return replace(config, sampling=SamplingConfig()) if path.name == "mini" else config

    monkeypatch.setattr("vampcli.checkpoints.folder.model_config", plain)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: context of 80 frames (1.39 s) and 40 frames, 5 codebooks of 32, 2 of them coarse."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_parts(folder, "magnitude", tiny_parts())
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Model:
    """The tiny model, on the CPU in float32."""
    return load(tiny_folder, device="cpu", dtype="fp32")


@pytest.fixture
def home(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own folder, in which `tiny` is a model."""
    (tmp_path / "home/models").mkdir(parents=True)
    (tmp_path / "home/models/tiny").symlink_to(tiny_folder)
    monkeypatch.setenv("VAMP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def expected() -> dict[str, torch.Tensor]:
    """Results of the official code for the files in `data/official`."""
    return load_file(Path(__file__).parent / "data/official/expected.safetensors")


def music(seconds: float, rate: int, n_channels: int = 1, seed: int = 0) -> np.ndarray:
    """Decaying notes with overtones and a little noise: float64 (n_channels, n_samples), below 0.6."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    x = 0.003 * rng.standard_normal((n_channels, len(t)))
    for start in np.arange(0, seconds, 0.25):
        pitch, after = 110 * 2 ** (rng.integers(0, 24) / 12), t - start
        gains = rng.uniform(0.3, 1, (n_channels, 1))
        tone = sum(np.sin(2 * np.pi * pitch * k * after) / k for k in (1, 2, 3))
        x += 0.1 * gains * np.where(after >= 0, np.exp(-4 * np.abs(after)), 0) * tone
    return np.clip(x, -0.6, 0.6)


def loop_points(path: Path) -> tuple[int, int] | None:
    """The first loop in a file's metadata: samples [start, end); None without one."""
    metadata = carry.read(path)
    return metadata.loop() if metadata else None


def sine(frequency: float, rate: int, n: int) -> np.ndarray:
    """A full-scale tone: float64 (1, n)."""
    return np.sin(2 * np.pi * frequency * np.arange(n) / rate)[None]


def quiet(n_channels: int = 1, n_samples: int = 1000, subtype: str = "FLOAT") -> Waveform:
    """Noise at 44.1 kHz that no format clamps."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((n_channels, n_samples))
    return Waveform(samples.astype(np.float32), 44100, subtype)


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    """Write a made-up piece: `song("a.wav", seconds=3, rate=44100, n_channels=1, subtype="PCM_16")`."""

    def make(
        name: str = "song.wav",
        seconds: float = 3.0,
        rate: int = 44100,
        n_channels: int = 1,
        subtype: str | None = None,
        seed: int = 0,
    ) -> Path:
        path = tmp_path / name
        sf.write(path, music(seconds, rate, n_channels, seed).T, rate, subtype)
        return path

    return make


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two prepared pieces of two authors."""
    from vampcli.train.data import MANIFEST

    folder = tmp_path_factory.mktemp("prepared")
    entries = []
    for i, author in enumerate(("A", "B")):
        samples = torch.from_numpy((music(4, 44100, seed=i)[0] * 32767).astype(np.int16))
        save_file({"samples": samples}, folder / f"{i}.safetensors")
        entry = {"file": f"{i}.safetensors", "n_samples": len(samples), "author": author, "title": f"T{i}"}
        entries.append({**entry, "licence": "CC0-1.0", "package": "p", "split": "train"})
    (folder / MANIFEST).write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="session")
def packed(prepared: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their tokens, of the tiny model."""
    from vampcli.train.encode import pack

    folder = tmp_path_factory.mktemp("tokens")
    pack(prepared, tiny_folder, folder)
    return folder


@dataclass(frozen=True)
class Ran:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The JSON objects on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def path(self) -> Path:
        """The one path on stdout of a command that succeeded."""
        assert self.code == 0, self.err
        return Path(self.out.strip())

    def refuses(self, code: int, *says: str) -> None:
        """Check the exit code, that stdout is empty, and that the message says all of this."""
        assert (self.code, self.out) == (code, ""), self.err
        assert "Traceback" not in self.err
        for text in says:
            assert text in self.err


Vamp = Callable[..., Ran]
"""`vamp("inpaint", path, "--start", 1)`."""

Song = Callable[..., Path]
"""`song("a.wav", seconds=3)`."""


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model fails the test."""
    monkeypatch.setattr("vampcli.api.load", lambda *_: pytest.fail("a model was loaded"))


@pytest.fixture
def vamp(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process: `vamp("inpaint", path, "--start", 1)`."""
    from vampcli.cli.main import main

    def run(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vamp", *map(str, args)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def quick(vamp: Vamp, tiny_folder: Path) -> Vamp:
    """A command with the tiny model, few steps and seed 3: `quick("loop", path, ...)`."""
    return lambda command, *args: vamp(command, "-m", tiny_folder, "--steps", 2, "--fine-steps", 1, "--seed", 3, *args)


REQUESTS = {
    "inpaint": ("--span", "0.3-0.6"),
    "outpaint": ("--after", "0.25", "--before", "0:00.1"),
    "loop": ("--span", "0.1-0.9", "--repeats", "2", "--seam", "0.3"),
    "vamp": ("--period", "3"),
    "compress": ("--keep-codebooks", "2"),
}
"""Options of each command, for a second of sound."""


def full_disk(*_: object, **__: object) -> None:
    """Stand in for a function that writes."""
    raise OSError(28, "No space left on device")


@contextmanager
def limited(resource_limit: int, n: int) -> Iterator[None]:
    """Lower a limit of this process, such as `resource.RLIMIT_FSIZE`, to `n`."""
    before = resource.getrlimit(resource_limit)
    resource.setrlimit(resource_limit, (n, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource_limit, before)
