"""Mask files: accepted and refused arrays."""

from pathlib import Path

import numpy as np
import pytest

from vampcli.errors import InputError
from vampcli.tokens import mask_file

MASK = np.random.default_rng(0).random((3, 8)) < 0.5


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_load_bools_or_integers(tmp_path: Path, kind: type, order: str) -> None:
    np.save(tmp_path / "m.npy", np.array(MASK, kind, order=order))  # type: ignore[call-overload]
    read = mask_file.pin(tmp_path / "m.npy").load(3, 8)
    assert read.dtype == bool
    assert np.array_equal(read, MASK)


def test_one_row_for_all_codebooks(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", MASK[0])
    assert np.array_equal(mask_file.pin(tmp_path / "m.npy").load(3, 8), MASK[[0, 0, 0]])


def test_write(tmp_path: Path) -> None:
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
def test_arrays_that_are_no_mask(tmp_path: Path, wrong: np.ndarray, says: str) -> None:
    np.save(tmp_path / "m.npy", wrong, allow_pickle=True)
    with pytest.raises(InputError, match=says):
        mask_file.pin(tmp_path / "m.npy").load(3, 8)


def damage(content: bytes) -> list[bytes]:
    """Not an array, a truncated one, one whose header promises too much."""
    return [b"", b"PK\x03\x04", content[:-5], content.replace(b"(3, 8)", b"(3, 8" + b"0" * 14 + b")", 1)]


@pytest.mark.parametrize("which", range(4))
def test_files_without_an_array(tmp_path: Path, which: int) -> None:
    path = tmp_path / "m.npy"
    np.save(path, MASK)
    path.write_bytes(damage(path.read_bytes())[which])
    with pytest.raises(InputError, match="holds no array"):
        mask_file.pin(path).load(3, 8)


def test_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    np.save(path, MASK)
    pinned = mask_file.pin(path)
    np.save(path, ~MASK)
    with pytest.raises(InputError, match="changed"):
        pinned.load(3, 8)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        pinned.load(3, 8)
    with pytest.raises(InputError, match="cannot read"):
        mask_file.pin(tmp_path)
