"""Weights of descript-audio-codec, saved by itself, against the package's own codes and audio."""

import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli.checkpoints.convert.codecs import open_dac
from vampcli.checkpoints.convert.dac import import_dac
from vampcli.checkpoints.convert.tensors import Making
from vampcli.checkpoints.weights import load_parts
from vampcli.codec.dac import DacCodec
from vampcli.errors import ModelError

SIZES = {"encoder_dim": 4, "decoder_dim": 32, "n_codebooks": 3, "codebook_size": 32, "codebook_dim": 4}
CONFIGURATIONS = {
    "44 kHz": {"encoder_rates": [2, 4, 8, 8], "decoder_rates": [8, 8, 4, 2]},
    "44 kHz, narrow latents": {"encoder_rates": [2, 4, 8, 8], "decoder_rates": [8, 8, 4, 2], "latent_dim": 12},
    "24 kHz": {"encoder_rates": [2, 4, 5, 8], "decoder_rates": [8, 5, 4, 2], "sample_rate": 24000, "n_codebooks": 6},
    "16 kHz": {"encoder_rates": [2, 4, 5, 8], "decoder_rates": [8, 5, 4, 2], "sample_rate": 16000},
    "other rates": {"encoder_rates": [2, 4], "decoder_rates": [2, 2, 2], "codebook_size": 7, "codebook_dim": 2},
    "odd rates": {"encoder_rates": [3, 5], "decoder_rates": [5, 3]},
    "unequal rows": {"encoder_rates": [2, 4], "decoder_rates": [4, 2], "codebook_dim": [2, 8, 5]},
}

Dac = Callable[[str], Any]


@pytest.fixture(scope="module")
def dac() -> Dac:
    """Make a `dac.DAC` of random weights that vary its codes."""

    def make(name: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("dac")
            from dac import DAC

            torch.manual_seed(0)
            model = DAC(**{**SIZES, **CONFIGURATIONS[name]}).eval()
        for module in model.modules():
            if type(module).__name__ == "Snake1d":
                module.alpha.data.uniform_(0.5, 2)
            elif hasattr(module, "bias"):
                module.bias.data.normal_(0, 0.01)
        return model.requires_grad_(False)

    return make


def saved(model: Any, path: Path, package: bool) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(str(path), package=package)
    return path


def imported(path: Path, out: Path) -> DacCodec:
    import_dac(path, out)
    codec = load_parts(out, torch.device("cpu"), torch.float32).codec
    assert isinstance(codec, DacCodec)
    return codec


def noise(n_samples: int) -> Tensor:
    return 0.3 * torch.randn(n_samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_codes_and_audio_equal_the_package(dac: Dac, tmp_path: Path, name: str) -> None:
    model = dac(name)
    ours = imported(saved(model, tmp_path / "weights.pth", package=False), tmp_path / "out")
    hop = int(model.hop_length)
    assert (ours.grid.sample_rate, ours.grid.hop_length) == (model.sample_rate, hop)
    samples = noise(30 * hop + hop // 3)
    padded = model.preprocess(samples[None, None], model.sample_rate)
    latents, codes = model.encode(padded)[:2]
    assert len(codes.unique()) > 5
    torch.testing.assert_close(ours.analyze(padded[0]), model.encoder(padded), atol=1e-5, rtol=1e-5)
    assert torch.equal(ours.encode(samples), codes[0])
    torch.testing.assert_close(ours.quantizer.decode(codes), latents, atol=1e-5, rtol=1e-5)
    audio, decoded = model.decode(latents)[0, 0], ours.decode(codes[0])
    assert decoded.shape == (31 * hop,)
    # Of odd rates the package makes slightly too few samples, and pads what follows from there.
    odd = any(rate % 2 for rate in model.decoder_rates)
    n_same = (31 - ours.halo_frames) * hop if odd else len(audio)
    assert decoded.std() > 0.01
    torch.testing.assert_close(decoded[:n_same], audio[:n_same], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["24 kHz", "unequal rows"])
def test_torch_package_holds_the_same_weights(dac: Dac, tmp_path: Path, name: str) -> None:
    model = dac(name)
    codecs = [
        imported(saved(model, tmp_path / f"{package}.pth", package), tmp_path / f"{package}")
        for package in (False, True)
    ]
    plain, packed = (codec.state_dict() for codec in codecs)
    assert codecs[0].config == codecs[1].config
    assert plain.keys() == packed.keys()
    assert all(torch.equal(tensor, packed[name]) for name, tensor in plain.items())


def test_file_is_in_memory_once(dac: Dac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(dac("16 kHz"), tmp_path / "weights.pth", package=True)
    opened_before: list[weakref.ref[Making]] = []

    def opened(weights: Path) -> tuple[DacCodec, Making]:
        assert not any(making() for making in opened_before)
        codec, making = open_dac(weights)
        opened_before.append(weakref.ref(making))
        return codec, making

    monkeypatch.setattr("vampcli.checkpoints.convert.dac.open_dac", opened)
    import_dac(path, tmp_path / "out")
    assert len(opened_before) > 1


def test_missing_and_unknown_tensors(dac: Dac, tmp_path: Path) -> None:
    path = saved(dac("24 kHz"), tmp_path / "weights.pth", package=False)
    content = torch.load(path, weights_only=True)
    for name in list(content["state_dict"])[::11]:
        without = {**content, "state_dict": {n: t for n, t in content["state_dict"].items() if n != name}}
        torch.save(without, path)
        with pytest.raises(ModelError, match=name.removesuffix("_v").removesuffix("_g")):
            import_dac(path, tmp_path / "out")
    content["state_dict"]["decoder.extra"] = torch.zeros(1)
    torch.save(content, path)
    with pytest.raises(ModelError, match=r"unknown tensor decoder\.extra"):
        import_dac(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_of_another_width(dac: Dac, tmp_path: Path) -> None:
    path = saved(dac("unequal rows"), tmp_path / "weights.pth", package=False)
    content = torch.load(path, weights_only=True)
    rows = content["state_dict"]["quantizer.quantizers.0.codebook.weight"]
    content["state_dict"]["quantizer.quantizers.0.codebook.weight"] = F.pad(rows, (0, 1))
    torch.save(content, path)
    with pytest.raises(ModelError, match=r"weights\.pth"):
        import_dac(path, tmp_path / "out")


def test_the_published_codec_is_no_dac(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"codec\.pth has no tensor decoder"):
        import_dac(Path(__file__).parent / "data/official/codec.pth", tmp_path / "out")
