"""Credits of `mini` against the music table."""

from pathlib import Path

import pytest

from vampcli.train.credits import credits_text, works
from vampcli.train.pieces import pieces_of_table

ROOT = Path(__file__).parents[1]


def works_of(split: str) -> set[tuple[str, str]]:
    pieces = pieces_of_table(ROOT / "configs/free-music.tsv", ROOT, split)
    return works(credits_text([{**vars(piece), "split": "train"} for piece in pieces], "mini", "x"))


def test_credited_works_are_training_rows() -> None:
    credited = works((ROOT / "checkpoints/mini/CREDITS.md").read_text(encoding="utf-8"))
    assert len(credited) > 300
    assert credited - works_of("train") == set()


@pytest.mark.parametrize("split", ["val", "test", "ood"])
def test_no_held_out_work_is_credited(split: str) -> None:
    credited = works((ROOT / "checkpoints/mini/CREDITS.md").read_text(encoding="utf-8"))
    held_out = works_of(split)
    assert held_out
    assert credited & held_out == set()
