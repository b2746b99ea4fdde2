"""Published files, through the public API, against what the official code made of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import vampcli
from published import FILES, MASK_ID, OFFICIAL, coarse_tokens, fine_tokens, ours
from vampcli.api import Model
from vampcli.checkpoints.convert import vampnet
from vampcli.config import SamplingConfig
from vampcli.sampling.sampler import fill
from vampcli.sampling.windows import window_predictor

GREEDY = SamplingConfig(mask_temperature=0, sample_cutoff=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "model"
    vampnet.import_published(OFFICIAL, out)
    return out


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return vampcli.load(folder, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def fine_tune(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose coarse weights have LoRA pairs that are not zero."""
    out = tmp_path_factory.mktemp("imported") / "fine-tune"
    vampnet.import_published({**FILES, "coarse": OFFICIAL / "coarse_lora.pth"}, out)
    return out


def test_looked_up_rows(model: Model, expected: dict[str, Tensor]) -> None:
    rows = model.coarse.look_up(coarse_tokens(expected))
    assert torch.equal(rows.transpose(1, 2), expected["coarse_latents"])


def test_coarse_logits(model: Model, expected: dict[str, Tensor]) -> None:
    logits = model.coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=1e-4, rtol=0)


def test_fine_logits(model: Model, expected: dict[str, Tensor]) -> None:
    logits = model.fine(fine_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["c2f_logits"], 10), atol=1e-4, rtol=0)


def test_logits_of_a_fine_tune(fine_tune: Path, expected: dict[str, Tensor]) -> None:
    logits = vampcli.load(fine_tune, device="cpu", dtype="fp32").coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_lora_logits"], 4), atol=1e-4, rtol=0)
    assert not torch.allclose(logits, ours(expected["coarse_logits"], 4), atol=1e-2)


@pytest.mark.parametrize("made", ["coarse", "coarse_lora", "c2f"])
def test_bfloat16_agrees_with_official_float32(
    folder: Path, fine_tune: Path, expected: dict[str, Tensor], made: str
) -> None:
    loaded = vampcli.load(fine_tune if made == "coarse_lora" else folder, device="cpu", dtype="bf16")
    if made == "c2f":
        logits, hidden = loaded.fine(fine_tokens(expected)), fine_tokens(expected)[:, 4:] == MASK_ID
    else:
        logits, hidden = loaded.coarse(coarse_tokens(expected)), expected["coarse_mask"].bool()
    official = ours(expected[f"{made}_logits"], logits.shape[1])[hidden]
    best, second = official.topk(2).values.T
    same, sure = logits[hidden].argmax(-1) == official.argmax(-1), best - second > 0.1
    assert same.float().mean() >= 0.97
    assert sure.sum() > 200
    assert same[sure].all()


def test_codes_and_audio(model: Model, expected: dict[str, Tensor]) -> None:
    codes = model.codec.encode(expected["audio"][0, 0])
    assert torch.equal(codes, expected["codes"][0].long())
    torch.testing.assert_close(model.codec.quantizer.decode(codes[None]), expected["encoder_z_q"], atol=1e-4, rtol=0)
    for made in ("decoded", "decoded_from_codes"):
        torch.testing.assert_close(model.codec.decode(codes), expected[made][0, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_steps", [1, 4, 12])
def test_greedy_coarse_tokens(model: Model, expected: dict[str, Tensor], n_steps: int) -> None:
    context = model.coarse.config.context_frames
    tokens, mask = expected["codes"][0, :4].long(), expected["coarse_mask"][0].bool()
    filled = fill(
        window_predictor(model.coarse, context, mask.any(0)[None]),
        tokens,
        mask,
        [0],
        replace(GREEDY, steps=n_steps),
        model.coarse.config,
    )
    assert torch.equal(filled[0], expected[f"coarse_greedy_{n_steps}"][0].long())


def test_greedy_fine_tokens(model: Model, expected: dict[str, Tensor]) -> None:
    context = model.fine.config.context_frames
    tokens = fine_tokens(expected)[0]
    filled = fill(
        window_predictor(model.fine, context, (tokens == MASK_ID).any(0)[None]),
        tokens,
        tokens == MASK_ID,
        [0],
        replace(GREEDY, fine_steps=4),
        model.fine.config,
    )
    assert torch.equal(filled[0], expected["c2f_greedy_4"][0].long())


def test_contexts_and_licence(model: Model) -> None:
    assert (model.coarse.config.context_frames, model.fine.config.context_frames) == (575, 173)
    assert model.provenance.licence == "CC-BY-NC-SA-4.0"


def test_float16_import_keeps_rows_precise(tmp_path: Path, expected: dict[str, Tensor]) -> None:
    vampnet.import_published(OFFICIAL, tmp_path / "half", torch.float16)
    stored = {part: load_file(tmp_path / f"half/{part}.safetensors") for part in ("codec", "coarse", "fine")}
    precise = {f"{part} {name}" for part, ts in stored.items() for name, t in ts.items() if t.dtype == torch.float32}
    assert {"coarse codebooks", "fine codebooks", "coarse mask_rows", "fine mask_rows"} <= precise
    assert {f"codec {name}" for name in stored["codec"] if name.startswith("quantizer.")} <= precise
    assert stored["coarse"]["layers.0.query.weight"].dtype == torch.float16
    assert stored["codec"]["encoder.0.weight"].dtype == torch.float16
    model = vampcli.load(tmp_path / "half", device="cpu", dtype="fp32")
    logits = model.coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=0.02, rtol=0)
