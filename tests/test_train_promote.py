"""A new version replaces the old one only if it is better."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scripts import promote as promoting
from scripts.promote import Comparison, changed_parts, compare, main, promote

from conftest import tiny_parts
from training import codec_run, token_run
from vampcli.checkpoints.folder import PARTS, Provenance, read_config
from vampcli.checkpoints.weights import Parts, load_parts, save_parts
from vampcli.errors import ModelError, UsageError
from vampcli.train.credits import write_credits


def version(folder: Path, change: Callable[[Parts], object] = lambda parts: None) -> Path:
    """A model folder whose random weights are changed by `change`."""
    parts = tiny_parts()
    with torch.no_grad():
        change(parts)
    save_parts(folder, "magnitude", Parts(parts.codec, parts.coarse, parts.fine, Provenance("tiny", "MIT", "new")))
    return folder


def other_coarse(parts: Parts) -> None:
    assert parts.coarse is not None
    parts.coarse.classifier.weight.zero_()  # knows nothing, which is better than to be sure of nonsense
    parts.coarse.classifier.bias.zero_()


def other_encoder(parts: Parts) -> None:
    next(parts.codec.encoder.parameters()).add_(1)  # type: ignore[attr-defined]


def other_everything(parts: Parts) -> None:
    other_encoder(parts)
    assert parts.fine is not None
    parts.fine.classifier.bias.add_(1)
    other_coarse(parts)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def old(tiny_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_folder, tmp_path / "old")
    (tmp_path / "old/README.md").write_text("card")
    return tmp_path / "old"


def test_changed_parts_by_their_bytes(old: Path, tmp_path: Path) -> None:
    assert changed_parts(old, version(tmp_path / "same")) == []
    assert changed_parts(old, version(tmp_path / "new", other_coarse)) == ["coarse"]
    assert changed_parts(old, tmp_path / "new", ["fine"]) == []
    with pytest.raises(UsageError, match="'decoder'"):
        changed_parts(old, tmp_path / "new", ["decoder"])


def test_new_encoder_takes_all_three_parts(old: Path, tmp_path: Path) -> None:
    new = version(tmp_path / "new", other_everything)
    assert changed_parts(old, new) == ["codec", "coarse", "fine"]
    with pytest.raises(ModelError, match="another encoder"):
        changed_parts(old, new, ["codec", "coarse"])
    (new / "fine.safetensors").unlink()
    with pytest.raises(ModelError, match="another encoder"):
        changed_parts(old, new)


def test_only_changed_parts_are_copied(old: Path, tmp_path: Path) -> None:
    new = version(tmp_path / "new", other_coarse)
    (new / "CREDITS.md").write_text("thanks")
    before = contents(old)
    written = promote(old, new, [Comparison("coarse", "loss", 1.0, 2.0)])
    after = contents(old)
    assert {path.name for path in written} == {"coarse.safetensors", "CREDITS.md", "config.json"}
    assert {name for name in after if after[name] != before.get(name)} == {path.name for path in written}
    assert after["coarse.safetensors"] == (new / "coarse.safetensors").read_bytes()
    config = json.loads(after["config.json"])
    assert config["provenance"]["source"] == "new"
    assert config["fine"] == json.loads(before["config.json"])["fine"]
    load_parts(old, torch.device("cpu"), torch.float32)


PIECE = {"file": "f", "package": "p", "author": "Ann", "licence": "CC0-1.0", "n_samples": 44100 * 3600}


def test_credits_and_licences_are_copied(old: Path, tmp_path: Path) -> None:
    new = version(tmp_path / "new", other_coarse)
    write_credits(old, [{**PIECE, "title": "One"}], "tiny", "CC-BY-4.0")
    (old / "README.md").write_text((old / "README.md").read_text() + "\nFigures by hand.\n")
    write_credits(new, [{**PIECE, "title": t, "file": t, "licence": "MIT"} for t in ("One", "Two")], "tiny", "MIT")
    with pytest.raises(ModelError, match=r"1 works the old codec was trained on, such as One \(p \| Ann \| CC0"):
        promote(old, new, [Comparison("coarse", "loss", 1.0, 2.0)])
    assert "Two" not in (old / "CREDITS.md").read_text()
    write_credits(new, [{**PIECE, "title": t, "file": t} for t in ("One", "Two")], "tiny", "CC-BY-SA-4.0")
    written = promote(old, new, [Comparison("coarse", "loss", 1.0, 2.0)])
    assert {"CREDITS.md", "README.md"} < {path.name for path in written}
    assert (old / "CREDITS.md").read_bytes() == (new / "CREDITS.md").read_bytes()
    card = (old / "README.md").read_text()
    assert "license: cc-by-sa-4.0" in card
    assert "| CC0-1.0 | 2.00 |" in card
    assert card.count("licence of the music") == 1
    assert card.startswith("---\n")
    assert "\ncard\n" in card
    assert card.endswith("Figures by hand.\n")


def test_credits_of_replaced_parts_may_go(old: Path, tmp_path: Path) -> None:
    new = version(tmp_path / "new", other_everything)
    write_credits(old, [{**PIECE, "title": "One"}], "tiny", "MIT")
    write_credits(new, [{**PIECE, "title": "Two"}], "tiny", "MIT")
    promote(old, new, [Comparison(part, "loss", 1.0, 2.0) for part in PARTS])
    assert "One" not in (old / "CREDITS.md").read_text()


def test_codec_alone_keeps_the_temperature(old: Path, tmp_path: Path) -> None:
    config = read_config(old)
    (old / "config.json").write_text(json.dumps(config | {"temperature": 0.8}))
    new = version(tmp_path / "new", other_coarse)
    promote(old, new, [Comparison("codec", "mel_error", 1.0, 2.0)])
    assert read_config(old)["temperature"] == 0.8
    promote(old, new, [Comparison("coarse", "loss", 1.0, 2.0)])
    assert read_config(old)["temperature"] == 1.0


@pytest.mark.parametrize("figure", [2.0, 3.0, float("nan")])
def test_worse_parts_are_refused(old: Path, tmp_path: Path, figure: float) -> None:
    new, before = version(tmp_path / "new", other_coarse), contents(old)
    with pytest.raises(ModelError, match="fine is not better"):
        promote(old, new, [Comparison("coarse", "loss", 1.0, 2.0), Comparison("fine", "loss", figure, 2.0)])
    assert contents(old) == before


def test_parts_are_measured_on_validation_pieces(old: Path, packed: Path, tiny_folder: Path, tmp_path: Path) -> None:
    new = version(tmp_path / "new", other_coarse)
    runs = {"coarse": token_run(packed, tiny_folder)}
    (compared,) = compare(old, new, ["coarse"], runs)
    assert compared.new < compared.bar
    assert compared.new == pytest.approx(torch.tensor(32.0).log().item(), rel=1e-3)
    (backwards,) = compare(new, old, ["coarse"], runs)
    assert (backwards.new, backwards.bar) == (compared.bar, compared.new)
    with pytest.raises(UsageError, match="coarse changed"):
        compare(old, new, ["coarse"], {})


def test_other_tokens_are_compared_with_unigrams(
    old: Path, prepared: Path, packed: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = version(tmp_path / "new", other_everything)
    measured = []

    def measure(run: object, folder: Path) -> dict[str, float]:
        measured.append(folder.name)
        return {"mel_error": 1.0, "loss": 3.0, "unigram_loss": 5.0}

    monkeypatch.setattr(promoting, "validate", measure)
    runs = {"codec": codec_run(prepared), "coarse": token_run(packed, tiny_folder)}
    compared = compare(old, new, ["codec", "coarse"], runs)
    assert [c.bar for c in compared] == [1.0, 5.0]
    assert [c.against for c in compared] == ["old version", "unigram, since tokens differ"]
    assert measured == ["new", "old", "new"]


def test_command_promotes_and_refuses(
    old: Path, packed: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = version(tmp_path / "new", other_coarse)
    worse = tmp_path / "worse"
    shutil.copytree(old, worse)
    run = tmp_path / "coarse.toml"
    run.write_text(
        f'n_frames = 30\n[data]\ntrain = "{packed}"\nvalidation = "{packed}"\ncodec = "{tiny_folder}"\n'
        "[model]\nn_codebooks = 2\nn_conditioning = 0\nn_layers = 1\nwidth = 16\nn_heads = 2\ncontext_frames = 40\n"
        "codebook_size = 32\n"
    )
    main([str(new), "--into", str(old), "--coarse", str(run)])
    figures, *replaced = capsys.readouterr().out.splitlines()
    assert json.loads(figures)["part"] == "coarse"
    assert f"replaced {old / 'coarse.safetensors'}" in replaced
    assert (old / "coarse.safetensors").read_bytes() == (new / "coarse.safetensors").read_bytes()
    with pytest.raises(ModelError, match="not better"):
        main([str(worse), "--into", str(old), "--coarse", str(run)])
