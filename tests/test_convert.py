"""Published files, through the public API, against what the official code made of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import vampcli
from conftest import Ran
from vampcli import convert
from vampcli.config import SamplingConfig
from vampcli.engine import Model
from vampcli.errors import ExitCode, InputError, ModelError
from vampcli.noise import Stage
from vampcli.sampling import fill
from vampcli.windows import windowed

OFFICIAL = Path(__file__).parent / "data/official"
MASK_ID = 128
GREEDY = SamplingConfig(mask_temperature=0, sample_cutoff=-1)

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return load_file(OFFICIAL / "expected.safetensors")


def imported(files: Path, out: Path) -> Model:
    convert.import_published(files, out)
    return vampcli.load(out, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return imported(OFFICIAL, tmp_path_factory.mktemp("imported") / "model")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The published files in a folder of their own, to be damaged."""
    return Path(shutil.copytree(OFFICIAL, tmp_path / "published"))


def edited(path: Path, edit: Edit) -> None:
    """Rewrite a published file with its content changed."""
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, path)


def coarse_tokens(expected: dict[str, Tensor]) -> Tensor:
    return expected["codes"][:, :4].long().masked_fill(expected["coarse_mask"].bool(), MASK_ID)


def fine_tokens(expected: dict[str, Tensor]) -> Tensor:
    tokens = expected["codes"].long().clone()
    tokens[:, 4:] = MASK_ID
    return tokens


def ours(logits: Tensor, n_predicted: int) -> Tensor:
    """Official (1, classes, n_frames * n_predicted), codebook fast -> (1, n_predicted, n_frames, classes)."""
    return logits.unflatten(2, (-1, n_predicted)).permute(0, 3, 2, 1)


def test_looked_up_rows_equal_the_official_ones(model: Model, expected: dict[str, Tensor]) -> None:
    rows = model.coarse.look_up(coarse_tokens(expected))
    assert torch.equal(rows.transpose(1, 2), expected["coarse_latents"])


def test_coarse_logits_equal_the_official_ones(model: Model, expected: dict[str, Tensor]) -> None:
    logits = model.coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=1e-4, rtol=0)


def test_fine_logits_equal_the_official_ones(model: Model, expected: dict[str, Tensor]) -> None:
    logits = model.fine(fine_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["c2f_logits"], 10), atol=1e-4, rtol=0)


def test_fine_tune_with_lora_pairs_equals_the_official_one(
    files: Path, tmp_path: Path, expected: dict[str, Tensor]
) -> None:
    shutil.copy(files / "coarse_lora.pth", files / "coarse.pth")
    logits = imported(files, tmp_path / "out").coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_lora_logits"], 4), atol=1e-4, rtol=0)
    assert not torch.allclose(logits, ours(expected["coarse_logits"], 4), atol=1e-2)


def test_codes_and_audio_equal_the_official_ones(model: Model, expected: dict[str, Tensor]) -> None:
    codes = model.codec.encode(expected["audio"][0, 0])
    assert torch.equal(codes, expected["codes"][0].long())
    for made in ("decoded", "decoded_from_codes"):
        torch.testing.assert_close(model.codec.decode(codes), expected[made][0, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_steps", [1, 4, 12])
def test_greedy_coarse_tokens_equal_the_official_ones(model: Model, expected: dict[str, Tensor], n_steps: int) -> None:
    context = model.coarse.config.context_frames
    tokens, mask = expected["codes"][0, :4].long(), expected["coarse_mask"][0].bool()
    filled = fill(
        windowed(model.coarse, context),
        tokens,
        mask,
        [0],
        GREEDY,
        stage=Stage.COARSE,
        n_steps=n_steps,
        n_conditioning=0,
        context=context,
        mask_id=MASK_ID,
    )
    assert torch.equal(filled[0], expected[f"coarse_greedy_{n_steps}"][0].long())


def test_greedy_fine_tokens_equal_the_official_ones(model: Model, expected: dict[str, Tensor]) -> None:
    context = model.fine.config.context_frames
    tokens = fine_tokens(expected)[0]
    filled = fill(
        windowed(model.fine, context),
        tokens,
        tokens == MASK_ID,
        [0],
        GREEDY,
        stage=Stage.FINE,
        n_steps=4,
        n_conditioning=4,
        context=context,
        mask_id=MASK_ID,
    )
    assert torch.equal(filled[0], expected["c2f_greedy_4"][0].long())


def test_contexts_and_licence_are_those_of_the_paper(model: Model) -> None:
    assert (model.coarse.config.context_frames, model.fine.config.context_frames) == (575, 173)
    assert model.provenance.licence == "CC-BY-NC-SA-4.0"


@pytest.mark.parametrize("halves", [("lora_A",), ("lora_B",), ("lora_A", "lora_B")], ids=str)
def test_missing_lora_halves_count_as_zero(files: Path, halves: tuple[str, ...], expected: dict[str, Tensor]) -> None:
    rows = torch.zeros(4, 128, 8)

    def without_pairs(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        for name in [n for n in state if n.endswith(halves)]:
            del state[name]

    def with_zero_pairs(content: dict[str, Any]) -> None:
        for name, tensor in content["state_dict"].items():
            if "lora_" in name:
                tensor.zero_()

    logits = []
    for edit in (without_pairs, with_zero_pairs):
        shutil.copy(OFFICIAL / "coarse_lora.pth", files / "coarse.pth")
        edited(files / "coarse.pth", edit)
        logits.append(convert.read_transformer(files / "coarse.pth", rows, 575).eval()(coarse_tokens(expected)))
    assert torch.equal(*logits)


def test_prefix_of_compiled_models_is_stripped(files: Path, tmp_path: Path, expected: dict[str, Tensor]) -> None:
    def compiled(content: dict[str, Any]) -> None:
        content["state_dict"] = {f"_orig_mod.{name}": t for name, t in content["state_dict"].items()}

    edited(files / "coarse.pth", compiled)
    logits = imported(files, tmp_path / "out").coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=1e-4, rtol=0)


def test_unknown_constructor_arguments_are_ignored(files: Path, tmp_path: Path) -> None:
    for name in convert.FILES:
        edited(files / name, lambda content: content["metadata"]["kwargs"].update(brand_new=1))
    imported(files, tmp_path / "out")


def shortened(tensor: Tensor) -> Tensor:
    return tensor[:-1].clone()


TENSORS = {
    "codec.pth": ["encoder.block.0.weight_v", "quantizer.quantizers.3.codebook.weight", "decoder.model.7.alpha"],
    "coarse.pth": [
        "embedding.special.MASK",
        "transformer.layers.1.self_attn.w_qs.weight",
        "transformer.layers.1.feed_forward.w_1.lora_B",
        "classifier.layers.0.bias",
    ],
    "c2f.pth": ["embedding.out_proj.weight", "transformer.norm.weight", "classifier.layers.0.weight_g"],
}
EVERY_TENSOR = [(file, name) for file, names in TENSORS.items() for name in names]


@pytest.mark.parametrize(("file", "name"), [t for t in EVERY_TENSOR if "lora" not in t[1]])
def test_missing_tensor_is_named(files: Path, tmp_path: Path, file: str, name: str) -> None:
    edited(files / file, lambda content: content["state_dict"].pop(name))
    with pytest.raises(ModelError) as caught:
        convert.import_published(files, tmp_path / "out")
    assert file in caught.value.message
    assert name.removesuffix("_v").removesuffix("_g") in caught.value.message
    assert caught.value.exit_code == ExitCode.MODEL


@pytest.mark.parametrize("file", convert.FILES)
def test_unknown_tensor_is_named(files: Path, tmp_path: Path, file: str) -> None:
    edited(files / file, lambda content: content["state_dict"].update({"brand.new": torch.zeros(2)}))
    with pytest.raises(ModelError, match=rf"{file}.* brand\.new"):
        convert.import_published(files, tmp_path / "out")


@pytest.mark.parametrize(("file", "name"), EVERY_TENSOR)
def test_wrong_shape_is_a_model_error(files: Path, tmp_path: Path, file: str, name: str) -> None:
    def damage(content: dict[str, Any]) -> None:
        content["state_dict"][name] = shortened(content["state_dict"][name])

    edited(files / file, damage)
    with pytest.raises(ModelError, match=file):
        convert.import_published(files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.pop("metadata"),
        lambda content: content["metadata"]["kwargs"].pop("n_layers"),
        lambda content: content["metadata"]["kwargs"].update(n_layers="3"),
        lambda content: content["metadata"]["kwargs"].update(n_codebooks=20),
        lambda content: content["metadata"].update(kwargs=None),
        lambda content: content.update(state_dict=[]),
        lambda content: content["state_dict"].update({"transformer.norm.weight": 3}),
    ],
)
def test_malformed_content_is_a_model_error(files: Path, edit: Edit) -> None:
    edited(files / "coarse.pth", edit)
    with pytest.raises(ModelError, match=r"coarse\.pth"):
        convert.read_transformer(files / "coarse.pth", torch.zeros(14, 128, 8), 575)


@pytest.mark.parametrize("damage", ["empty", "garbage", "truncated", "zeros inside"])
def test_damaged_file_is_a_model_error(files: Path, damage: str) -> None:
    path = files / "c2f.pth"
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "garbage": b"no tensors here" * 50,
            "truncated": whole[: len(whole) // 2],
            "zeros inside": whole[:2000] + bytes(2000) + whole[4000:],
        }[damage]
    )
    with pytest.raises(ModelError, match=r"c2f\.pth"):
        convert.read_file(path)


class Hostile:
    """Unpickled by a careless loader, it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("file", convert.FILES)
def test_hostile_pickle_is_refused_and_does_not_run(files: Path, tmp_path: Path, file: str) -> None:
    trace = tmp_path / "was-run"
    torch.save({"state_dict": {}, "metadata": {"kwargs": Hostile(trace)}}, files / file)
    with pytest.raises(ModelError, match=file):
        convert.import_published(files, tmp_path / "out")
    assert not trace.exists()


@pytest.mark.parametrize("file", convert.FILES)
def test_missing_file_is_named(files: Path, tmp_path: Path, file: str) -> None:
    (files / file).unlink()
    with pytest.raises(ModelError, match=file):
        convert.import_published(files, tmp_path / "out")


def test_unwritable_target_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        convert.import_published(OFFICIAL, tmp_path / "file")


def test_float16_import_keeps_look_up_in_float32(tmp_path: Path, expected: dict[str, Tensor]) -> None:
    convert.import_published(OFFICIAL, tmp_path / "half", torch.float16)
    stored = {part: load_file(tmp_path / f"half/{part}.safetensors") for part in ("codec", "coarse", "fine")}
    precise = {f"{part} {name}" for part, ts in stored.items() for name, t in ts.items() if t.dtype == torch.float32}
    assert {"coarse codebooks", "fine codebooks", "coarse mask_rows", "fine mask_rows"} <= precise
    assert {f"codec {name}" for name in stored["codec"] if name.startswith("quantizer.")} <= precise
    assert stored["coarse"]["layers.0.query.weight"].dtype == torch.float16
    assert stored["codec"]["encoder.0.weight"].dtype == torch.float16
    model = vampcli.load(tmp_path / "half", device="cpu", dtype="fp32")
    logits = model.coarse(coarse_tokens(expected))
    torch.testing.assert_close(logits, ours(expected["coarse_logits"], 4), atol=0.02, rtol=0)


def test_a_model_folder_is_not_written_over_by_mistake(vamp: Callable[..., Ran], tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert vamp("models", "import", OFFICIAL, "-o", out).code == 0
    again = vamp("models", "import", OFFICIAL, "-o", out)
    assert again.code == 3
    assert "--overwrite" in again.err
    assert vamp("models", "import", OFFICIAL, "-o", out, "--overwrite").code == 0
