"""Masks of one's own: what is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vampcli.errors import InputError
from vampcli.tokens import mask_file

MASK = np.random.default_rng(0).random((3, 8)) < 0.5


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_ones_and_zeros_of_numpy_are_a_mask(tmp_path: Path, kind: type, order: str) -> None:
    np.save(tmp_path / "m.npy", np.array(MASK, kind, order=order))  # type: ignore[call-overload]
    read = mask_file.named(tmp_path / "m.npy").load(3, 8)
    assert read.dtype == bool
    assert np.array_equal(read, MASK)


def test_a_row_is_meant_for_all_codebooks(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", MASK[0])
    assert np.array_equal(mask_file.named(tmp_path / "m.npy").load(3, 8), MASK[[0, 0, 0]])


def test_numpy_reads_what_is_written(tmp_path: Path) -> None:
    mask_file.write(tmp_path / "m.npy", MASK)
    found = np.load(tmp_path / "m.npy", allow_pickle=False)
    assert found.dtype == bool
    assert np.array_equal(found, MASK)
    with pytest.raises(InputError, match="exists"):
        mask_file.write(tmp_path / "m.npy", ~MASK)
    assert [path.name for path in tmp_path.iterdir()] == ["m.npy"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (MASK[:, :7], r"shape \(3, 7\), but the clip has 3 codebooks and 8 frames"),
        (MASK.T, r"shape \(8, 3\)"),
        (MASK[:2], r"shape \(2, 8\)"),
        (MASK[None], r"shape \(1, 3, 8\)"),
        (np.array(True), r"shape \(\)"),
        (MASK.astype(float), "float64"),
        (MASK * 2, "int64 values are not all 0 and 1"),
        (np.array(["a"] * 8), "holds no mask"),
        (np.array([None] * 8), "holds no array"),
    ],
)
def test_what_is_no_mask_of_the_clip_is_refused(tmp_path: Path, wrong: np.ndarray, says: str) -> None:
    np.save(tmp_path / "m.npy", wrong, allow_pickle=True)
    with pytest.raises(InputError, match=says):
        mask_file.named(tmp_path / "m.npy").load(3, 8)


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"PK\x03\x04", None])
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.npy"
    np.save(path, MASK)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    with pytest.raises(InputError, match="holds no array"):
        mask_file.named(path).load(3, 8)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    np.save(path, MASK)
    path.write_bytes(path.read_bytes().replace(b"(3, 8)", b"(3, 8" + b"0" * 14 + b")", 1))
    with pytest.raises(InputError, match="holds no array"):
        mask_file.named(path).load(3, 8)


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    np.save(path, MASK)
    own = mask_file.named(path)
    np.save(path, ~MASK)
    with pytest.raises(InputError, match="changed"):
        own.load(3, 8)
    path.unlink()
    with pytest.raises(InputError, match="cannot read"):
        own.load(3, 8)
    with pytest.raises(InputError, match="cannot read"):
        mask_file.named(tmp_path)
