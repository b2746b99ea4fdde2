import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from conftest import Song, Vamp, tiny_parts
from vampcli.api import Model, load
from vampcli.checkpoints import adapter_file, registry
from vampcli.checkpoints.adapter_file import Facts
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import weights_hash
from vampcli.config import SamplingConfig
from vampcli.errors import ModelError
from vampcli.model import lora
from vampcli.model.lora import Pairs
from vampcli.model.transformer import VampNet


def pairs_of(model: VampNet, seed: int = 0, rank: int = 3) -> Pairs:
    """Random pairs for every projection that takes one, large enough to change logits."""
    generator = torch.Generator().manual_seed(seed)
    lora.add_pairs(model, rank, generator)
    return {name: (a, torch.randn(b.shape, generator=generator)) for name, (a, b) in lora.remove_pairs(model).items()}


def put(model: VampNet, pairs: Pairs) -> None:
    """Add pairs with these values."""
    lora.add_pairs(model, 3, torch.Generator())
    with torch.no_grad():
        for name, (a, b) in pairs.items():
            adapted = model.get_submodule(name)
            adapted.a.copy_(a)
            adapted.b.copy_(b)


@pytest.fixture
def coarse() -> VampNet:
    return tiny_parts().coarse


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randint(0, 33, (2, 2, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def facts(tiny_folder: Path) -> Facts:
    return Facts(
        name="jazz",
        base=str(tiny_folder),
        codec_hash=stored_hash(tiny_folder / "codec.safetensors"),
        base_hash=weights_hash(tiny_folder),
        licence="MIT",
        rank=3,
        sources=({"title": "Song", "author": "Ann", "licence": "CC0-1.0", "seconds": 3.0},),
        trained_s=1.5,
    )


@pytest.fixture
def pairs() -> dict[str, Pairs]:
    parts = tiny_parts()
    return {"coarse": pairs_of(parts.coarse), "fine": pairs_of(parts.fine, seed=1)}


@pytest.fixture
def jazz(tiny_folder: Path, facts: Facts, pairs: dict[str, Pairs], home: Path) -> Path:
    """An adapter of the tiny model, by name."""
    adapter_file.save(home / "adapters/jazz", facts, pairs)
    return home / "adapters/jazz"


def test_only_pairs_are_trainable(coarse: VampNet) -> None:
    lora.add_pairs(coarse, 8, torch.Generator())
    trainable = {name for name, p in coarse.named_parameters() if p.requires_grad}
    targets = ("query", "value", "output", "widen", "narrow")
    assert trainable == {f"layers.{i}.{target}.{half}" for i in range(2) for target in targets for half in "ab"}


def test_adding_and_removing_pairs(coarse: VampNet, tokens: torch.Tensor) -> None:
    before = {n: t.clone() for n, t in coarse.state_dict().items()}
    with torch.no_grad():
        logits = coarse(tokens)
        lora.add_pairs(coarse, 8, torch.Generator())
        assert torch.equal(coarse(tokens), logits)
    optimizer = torch.optim.SGD([p for p in coarse.parameters() if p.requires_grad], lr=1.0)
    coarse(tokens).square().mean().backward()
    optimizer.step()
    assert not torch.equal(coarse(tokens), logits)
    lora.remove_pairs(coarse)
    after = coarse.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_merged_weights_do_what_pairs_do(coarse: VampNet, tokens: torch.Tensor) -> None:
    pairs, plain = pairs_of(coarse), coarse(tokens)
    put(coarse, pairs)
    unmerged = coarse(tokens)
    lora.remove_pairs(coarse)
    state = {n: lora.add_pair(t, pairs.get(n.removesuffix(".weight"))) for n, t in coarse.state_dict().items()}
    coarse.load_state_dict(state)
    torch.testing.assert_close(coarse(tokens), unmerged, atol=1e-5, rtol=1e-5)
    assert (unmerged - plain).abs().max() > 0.01


def test_scale_is_one_over_rank() -> None:
    a, b = torch.ones(8, 2), torch.ones(3, 8)
    assert torch.equal(lora.add_pair(torch.zeros(3, 2), (a, b)), torch.full((3, 2), 8 * 0.125))


def test_adapter_round_trip(facts: Facts, pairs: dict[str, Pairs], tmp_path: Path) -> None:
    adapter_file.save(tmp_path / "a", facts, pairs)
    assert adapter_file.read(tmp_path / "a") == facts
    again = adapter_file.load(tmp_path / "a")
    assert {part: list(own) for part, own in again.items()} == {part: sorted(own) for part, own in pairs.items()}
    for part, own in pairs.items():
        for name, pair in own.items():
            assert all(torch.equal(x, y) for x, y in zip(pair, again[part][name], strict=True))
    assert [path.name for path in (tmp_path / "a").iterdir()] == [adapter_file.FILE]


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_loading_merges_before_it_rounds(jazz: Path, pairs: dict[str, Pairs], dtype: str) -> None:
    adapted = load("tiny+jazz", device="cpu", dtype=dtype)
    plain = load("tiny", device="cpu", dtype="fp32")
    assert adapted.provenance.name == "tiny+jazz"
    for part in ("coarse", "fine"):
        got, base = getattr(adapted, part).state_dict(), getattr(plain, part).state_dict()
        for name, tensor in base.items():
            expected = lora.add_pair(tensor, pairs[part].get(name.removesuffix(".weight")))
            assert torch.equal(got[name], expected.to(got[name].dtype)), name


def test_adapter_changes_only_its_model(jazz: Path, tiny: Model, song: Song) -> None:
    clip, config = song(seconds=1.5), SamplingConfig(steps=2, fine_steps=1)
    models = {"before": tiny, "adapted": load("tiny+jazz", device="cpu"), "after": load("tiny", device="cpu")}
    takes = {name: model.inpaint(clip, [(0.5, 1)], seed=3, sampling=config)[0] for name, model in models.items()}
    assert torch.equal(takes["before"].tokens, takes["after"].tokens)
    assert not torch.equal(takes["adapted"].tokens, takes["after"].tokens)


def test_missing_pairs_count_as_zero(facts: Facts, pairs: dict[str, Pairs], tiny_folder: Path, tmp_path: Path) -> None:
    name = "layers.1.value"
    adapter_file.save(tmp_path / "a", facts, {"fine": {name: pairs["fine"][name]}})
    adapted, plain = load(tmp_path / "a", device="cpu"), load(tiny_folder, device="cpu")
    assert all(torch.equal(t, plain.coarse.state_dict()[n]) for n, t in adapted.coarse.state_dict().items())
    changed = [n for n, t in adapted.fine.state_dict().items() if not torch.equal(t, plain.fine.state_dict()[n])]
    assert changed == [f"{name}.weight"]


@pytest.mark.parametrize("way", ["tiny+jazz", "tiny+{jazz}", "{jazz}", "{tiny}+jazz", "{tiny}+{jazz}"])
def test_ways_to_name_it(jazz: Path, tiny_folder: Path, way: str) -> None:
    found = registry.locate(way.format(jazz=jazz, tiny=tiny_folder))
    assert found.adapter == jazz
    assert found.folder.resolve() == tiny_folder.resolve()
    assert registry.find(way.format(jazz=jazz, tiny=tiny_folder)) == found.folder


def test_unknown_names_list_the_known(jazz: Path) -> None:
    with pytest.raises(ModelError, match="no adapter named 'rock'") as caught:
        registry.find("tiny+rock")
    assert "jazz" in caught.value.hint
    with pytest.raises(ModelError, match="no model named 'big'") as caught:
        registry.find("big+jazz")
    assert "tiny" in caught.value.hint
    assert "+jazz" in caught.value.hint


def test_two_adapters_are_refused(jazz: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny\+jazz has an adapter already"):
        registry.find("tiny+jazz+jazz")


def test_another_codec_is_refused(jazz: Path, facts: Facts) -> None:
    adapter_file.save(jazz, replace(facts, codec_hash="0" * 64), {})
    with pytest.raises(ModelError, match="another codec"):
        registry.find("tiny+jazz")


def test_other_version_of_the_base_warns(jazz: Path, facts: Facts, caplog: pytest.LogCaptureFixture) -> None:
    registry.find("tiny+jazz")
    assert caplog.text == ""
    adapter_file.save(jazz, replace(facts, base_hash="0" * 64), {})
    registry.find("tiny+jazz")
    assert "another version" in caplog.text


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [("layers.0.query", 31, 32), ("layers.0.key", 32, 32), ("layers.9.query", 32, 32), ("classifier", 32, 64)],
)
def test_pairs_of_another_model_are_refused(facts: Facts, tmp_path: Path, name: str, a: int, b: int) -> None:
    adapter_file.save(tmp_path / "a", facts, {"coarse": {name: (torch.ones(3, a), torch.ones(b, 3))}})
    with pytest.raises(ModelError, match=f"another model: its {name} is {b} x {a}"):
        load(tmp_path / "a", device="cpu")


def test_damaged_adapters_are_named(jazz: Path, facts: Facts) -> None:
    newer = json.dumps({"format": 2, "name": "jazz"})
    for content, says in ((None, "damaged"), ({}, "damaged"), ({"adapter": newer}, "format 2")):
        if content is None:
            (jazz / adapter_file.FILE).write_bytes(b"rubbish")
        else:
            save_file({"x": torch.ones(1)}, jazz / adapter_file.FILE, content)
        with pytest.raises(ModelError, match=says):
            registry.find("tiny+jazz")
    adapter_file.save(jazz, facts, {})
    save_file({"coarse.layers.0.query.a": torch.ones(3, 32)}, jazz / adapter_file.FILE)
    with pytest.raises(ModelError, match="damaged"):
        adapter_file.load(jazz)


def test_list_shows_adapters(vamp: Vamp, jazz: Path, tiny_folder: Path) -> None:
    line = next(line for line in vamp("models", "list").out.splitlines() if "jazz" in line)
    assert line.split("\t") == [f"{tiny_folder}+jazz", "adapter", "0.0 MB", "-", "-", "0.0 M", "MIT", str(jazz)]
    entries = [json.loads(line) for line in vamp("models", "list", "--json").out.splitlines()]
    assert next(e for e in entries if e["folder"] == str(jazz))["source"].endswith("fine-tuned on Song")
    (jazz / adapter_file.FILE).write_bytes(b"rubbish")
    ran = vamp("models", "list")
    assert (ran.code, "jazz/adapter.safetensors is damaged" in ran.err, "tiny" in ran.out) == (0, True, True)
