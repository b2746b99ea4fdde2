"""Experiments that train and continue music, on tiny models."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from experiments import going_on
from experiments.equal_time import learn

from conftest import Song
from training import LOOP
from vampcli.api import load
from vampcli.evaluate.summary import summarize

WAYS = ("autoregressive", "half", "cosine")


@pytest.fixture(scope="module")
def learned(packed: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokens = tmp_path_factory.mktemp("tokens")
    for split in ("train", "val"):
        (tokens / split).symlink_to(packed)
    for way in WAYS:
        learn(way, tiny_folder, tokens, tokens / way, replace(LOOP, steps=8), n_frames=30)
    return tokens


@pytest.mark.parametrize("way", WAYS)
def test_trained_model_is_saved(learned: Path, tiny_folder: Path, way: str) -> None:
    made, base = (load(folder, "cpu", "fp32") for folder in (learned / way, tiny_folder))
    assert made.provenance.training.startswith(f"{way}, 8 steps")
    assert torch.equal(made.fine.classifier.weight, base.fine.classifier.weight)
    assert not torch.equal(made.coarse.classifier.weight, base.coarse.classifier.weight)


@pytest.fixture
def pair(learned: Path) -> going_on.Pair:
    return going_on.Pair(*(load(learned / way, "cpu", "fp32") for way in ("autoregressive", "cosine")))


@pytest.mark.parametrize("condition", going_on.CONDITIONS, ids=lambda condition: condition.label)
def test_continuation_keeps_the_prefix(pair: going_on.Pair, condition: going_on.Condition) -> None:
    tokens = torch.randint(32, (5, 60), generator=torch.Generator().manual_seed(0))
    changed = torch.cat([tokens[:, :20], torch.zeros_like(tokens[:, 20:])], 1)
    (made, other, blind) = (
        pair.fine(pair.coarse(given, 20, seed, condition), 20, seed)
        for given, seed in ((tokens, 0), (tokens, 1), (changed, 0))
    )
    assert made.shape == tokens.shape
    assert torch.equal(made[:, :20], tokens[:, :20])
    assert int(made.max()) < 32
    if condition.command in (going_on.AUTOREGRESSIVE, going_on.MASKED):
        assert not torch.equal(made[:2], other[:2])
        assert torch.equal(made, blind)  # what was there is not seen
    else:
        assert torch.equal(made[:2], tokens[:2])


def test_going_on_end_to_end(
    learned: Path, song: Song, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = song("test.wav", seconds=6.0).parent
    song("ood.wav", seconds=6.0, seed=1)
    columns = ("package", "path", "licence", "split", "author")
    table = [columns, *(("a", f"{split}.wav", "CC0-1.0", split, "b") for split in ("test", "ood"))]
    (root / "table.tsv").write_text("".join("\t".join(row) + "\n" for row in table))
    models = ["--autoregressive", str(learned / "autoregressive"), "--masked", str(learned / "cosine")]
    monkeypatch.setattr(going_on, "EXCERPT_S", 3.0)
    call = [*models, "--table", str(root / "table.tsv"), "--root", str(root), "-o", str(root / "out")]
    going_on.main(call)
    lines = (root / "out/records.jsonl").read_text().splitlines(keepends=True)
    (root / "out/records.jsonl").write_text("".join(lines[:5]))
    capsys.readouterr()
    going_on.main(call)  # goes on
    assert len((root / "out/records.jsonl").read_text().splitlines()) == len(lines)
    found = [json.loads(line) for line in (root / "out/records.jsonl").read_text().splitlines()]
    rows = summarize(found, going_on.CONDITIONS, going_on.BASELINE)
    assert [row.n_excerpts for row in rows] == [2] * len(going_on.CONDITIONS)
    row = rows[0]
    assert {"mel_error", "frechet", "frechet_floor", "coarse_s", "token_accuracy"} <= row.figures.keys()
    assert {"mel_error", "frechet"} <= row.above.keys()
    assert all(np.isfinite(estimate.value) for estimate in row.figures.values())
    assert capsys.readouterr().out == (root / "out/table.md").read_text()
