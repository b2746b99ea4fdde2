"""The plain version against the official program and against `vamp`."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import plain, same
from benchmarks.plain import Plain
from benchmarks.plain_transformer import apply_norm
from torch import Tensor

import vampcli
from conftest import Song
from published import FILES, MASK_ID, OFFICIAL, coarse_tokens, fine_tokens, imported, ours
from vampcli import SamplingConfig
from vampcli.api import Model

GREEDY = SamplingConfig(mask_temperature=0, sample_cutoff=-1)
FEW_STEPS = SamplingConfig(steps=5, fine_steps=3)


@pytest.fixture(scope="module")
def official() -> Plain:
    return plain.load(OFFICIAL)


@pytest.fixture(scope="module")
def fine_tune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published files whose coarse weights have LoRA pairs that are not zero."""
    folder = tmp_path_factory.mktemp("fine-tune")
    for part, path in {**FILES, "coarse": OFFICIAL / "coarse_lora.pth"}.items():
        shutil.copy(path, folder / f"{part}.pth")
    return folder


def test_logits_equal_official(official: Plain, fine_tune: Path, expected: dict[str, Tensor]) -> None:
    coarse, fine = coarse_tokens(expected)[0], fine_tokens(expected)[0]
    for logits, wanted, n_predicted in (
        (official.coarse.logits(coarse), "coarse_logits", 4),
        (official.fine.logits(fine), "c2f_logits", 10),
        (plain.load(fine_tune).coarse.logits(coarse), "coarse_lora_logits", 4),
    ):
        torch.testing.assert_close(logits, ours(expected[wanted], n_predicted)[0], atol=1e-4, rtol=0)


def test_codec_equals_official(official: Plain, expected: dict[str, Tensor]) -> None:
    codes = official.codec.encode(expected["audio"][0, 0])
    assert torch.equal(codes, expected["codes"][0].long())
    torch.testing.assert_close(official.codec.decode(codes), expected["decoded"][0, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_steps", [1, 4, 12])
def test_greedy_coarse_tokens_equal_official(official: Plain, expected: dict[str, Tensor], n_steps: int) -> None:
    codes = expected["codes"][0].long()
    mask = torch.zeros_like(codes, dtype=torch.bool)
    mask[:4] = expected["coarse_mask"][0].bool()
    filled = official.fill_coarse(codes, mask, 0, replace(GREEDY, steps=n_steps))
    assert torch.equal(filled[:4], expected[f"coarse_greedy_{n_steps}"][0].long())
    assert torch.equal(filled[4:], codes[4:])


def test_greedy_fine_tokens_equal_official(official: Plain, expected: dict[str, Tensor]) -> None:
    tokens = fine_tokens(expected)[0]
    filled = official.fill_fine(tokens, tokens == MASK_ID, 0, replace(GREEDY, fine_steps=4))
    assert torch.equal(filled, expected["c2f_greedy_4"][0].long())


def _takes(model: Model, clip: Path, config: SamplingConfig) -> list[vampcli.Take]:
    return [
        *model.inpaint(clip, [(0.2, 0.5)], seed=3, takes=2, sampling=config),
        *model.vamp(clip, seed=5, sampling=config),
    ]


def test_tokens_equal_those_of_vamp(fine_tune: Path, tmp_path: Path, song: Song) -> None:
    takes = _takes(imported(fine_tune, tmp_path / "model"), song(seconds=1.5, n_channels=2), FEW_STEPS)
    assert same.token_agreement(plain.load(fine_tune), takes, FEW_STEPS) == 1.0
    others = [replace(take, seed=take.seed + 1) for take in takes]
    assert same.token_agreement(plain.load(fine_tune), others, FEW_STEPS) < 0.5


def test_our_model_gives_the_same_tokens(tiny: Model, tiny_folder: Path, song: Song) -> None:
    takes = _takes(tiny, song(seconds=0.6), FEW_STEPS)  # 35 frames: within both contexts
    assert same.token_agreement(plain.load(tiny_folder), takes, FEW_STEPS) == 1.0


def test_our_model_has_norms(tiny: Model, tiny_folder: Path) -> None:
    state = plain.load(tiny_folder).coarse.state
    weight = apply_norm(state, "classifier.layers.0").view(32, 2, -1).transpose(0, 1).flatten(0, 1)
    torch.testing.assert_close(weight, tiny.coarse.classifier.weight)


def test_hard_windows_are_independent(tiny: Model, tiny_folder: Path) -> None:
    slow, context = plain.load(tiny_folder), tiny.coarse.config.context_frames
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 32, (5, context + 30), generator=generator)
    mask = torch.rand(tokens.shape, generator=generator) < 0.5
    changed = tokens.clone()
    changed[:, context:] = 0
    once, again = (slow.fill_coarse(given, mask, 1, FEW_STEPS) for given in (tokens, changed))
    assert torch.equal(once[:, :context], again[:, :context])
    assert not torch.equal(once[:, context:], again[:, context:])
    assert torch.equal(once[~mask], tokens[~mask])
    assert torch.equal(once[2:], tokens[2:])


@pytest.mark.parametrize("verb", ["inpaint", "vamp"])
def test_takes_are_as_long_as_clip(verb: str, tiny: Model, tiny_folder: Path, tmp_path: Path, song: Song) -> None:
    clip, out = song(seconds=1, n_channels=2), tmp_path / "out.wav"
    steps = ["--steps", "2", "--fine-steps", "1", "--takes", "2", "--seed", "4", "--model", str(tiny_folder)]
    plain.main([verb, str(clip), str(out), "--start", "0.4", "--end", "0.6", *steps])
    four, five = (vampcli.read(tmp_path / f"out.{seed}.wav").samples for seed in (4, 5))
    assert four.shape == five.shape == (1, -(-44100 // 768) * 768)
    differs = np.flatnonzero(four[0] != five[0])
    assert len(differs)
    if verb == "inpaint":
        reach = tiny.codec.halo_frames + 2  # frames, with the margin and the rest of one
        assert 0.4 - reach / 57 < differs[0] / 44100 < 0.5 < differs[-1] / 44100 < 0.6 + reach / 57
