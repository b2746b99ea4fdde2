"""Self-checks find damaged models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conftest import Song, Vamp
from vampcli import load
from vampcli.api import Model
from vampcli.evaluate.excerpts import Clip, load_clip
from vampcli.evaluate.run import randomize_transformers
from vampcli.evaluate.selfcheck import losses_of_card, self_check


@pytest.fixture(scope="module")
def mini() -> Model:
    return load("mini", "cpu", "fp32")


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    whole = load_clip(Path(__file__).parents[1] / "examples/island-dreams.wav", 44100)
    return [replace(whole, samples=part) for part in whole.samples.chunk(2)]


def ill(model: Model, clips: list[Clip], card: dict[str, float] | None = None) -> set[str]:
    return {check.name for check in self_check(model, clips, card or {}) if not check.is_well}


def test_mini_passes_but_for_wrong_card(mini: Model, clips: list[Clip]) -> None:
    assert ill(mini, clips, {"coarse": 0.1, "fine": 9.9}) == {"loss of coarse, nats, against its card"}


def test_untrained_transformer_fails(mini: Model, clips: list[Clip]) -> None:
    found = ill(randomize_transformers(mini), clips, {"coarse": 4.4, "fine": 4.9})
    assert {"loss of coarse, nats, against its card", "loss of fine, nats, against its card"} <= found


def test_collapsed_codebook_fails(mini: Model, clips: list[Clip]) -> None:
    encode = mini.codec.encode

    class Collapsed(type(mini.codec)):  # type: ignore[misc]
        def encode(self, samples: torch.Tensor) -> torch.Tensor:
            codes = encode(samples).clone()
            codes[2] = 7
            return codes

    codec = Collapsed.__new__(Collapsed)
    codec.__dict__ = mini.codec.__dict__
    assert "least used codebook, share of its codes" in ill(replace(mini, codec=codec), clips)


def test_losses_of_a_card(tmp_path: Path) -> None:
    assert losses_of_card(tmp_path) == {}
    (tmp_path / "README.md").write_text(
        "| coarse | 10% | 4.30 | 1 |\n| coarse | 50% | 4.42 | 1 |\n| fine | 50% | 5 |\n"
    )
    assert losses_of_card(tmp_path) == {"coarse": 4.42, "fine": 5.0}


def test_command_fails_with_exit_code_4(vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    path = song(seconds=3)
    ran = vamp("eval", "self-check", "-m", tiny_folder, "-d", "cpu", path)  # random weights
    assert ran.code == 4
    assert json.loads(ran.out)["healthy"] is False
    assert "is not well: " in ran.err
