"""Write model folders whole or not at all."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vampcli.checkpoints.folder import CONFIG, PARTS, refuse_existing
from vampcli.errors import InputError
from vampcli.files import claim


@contextmanager
def whole(out: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder beside `out`, which is renamed to `out` on success; on any error nothing changes.

    Other files of a replaced model folder are kept. Of two processes the earlier one goes on. A killed process leaves a
    hidden folder, which the next call removes.

    Args:
        out: the new folder; it must not exist, be empty, or, with `overwrite`, be a model folder.
        overwrite: replace a model.

    Raises:
        InputError: `out` holds something else, cannot be written, or another process writes it.
    """
    out = out.resolve()
    with claim(out) as is_ours:
        if not is_ours:
            raise InputError(f"{out} is being written by another process", "wait for it, or name another folder")
        with _beside(out, overwrite) as new:
            yield new


@contextmanager
def _beside(out: Path, overwrite: bool) -> Iterator[Path]:
    temp = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temp = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        _clear(out, temp)
        is_model = (out / CONFIG).exists()
        refuse_existing(out, overwrite)
        if out.exists() and not is_model and not (out.is_dir() and next(out.iterdir(), None) is None):
            raise InputError(f"cannot write {out}: there is something else", "name a new folder")
        new = temp / "new"  # one level deeper, where no model is searched
        new.mkdir()
        if is_model:
            replaced = (CONFIG, *(f"{part}.safetensors" for part in PARTS))
            shutil.copytree(out, new, ignore=shutil.ignore_patterns(*replaced), dirs_exist_ok=True)
        yield new
        _take_place(new, out, temp / "old")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error}", "name another folder, or make room") from error
    finally:
        if temp is not None:
            shutil.rmtree(temp, ignore_errors=True)


def _clear(out: Path, temp: Path) -> None:
    """Remove the temporary folders of killed processes; restore a model that one of them was replacing."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.????????.partial"):
        if left != temp:
            gone = temp / "left"
            left.rename(gone)  # before the removal, in case its process still runs
            if (gone / "old").exists() and not out.exists():
                (gone / "old").rename(out)
            shutil.rmtree(gone)


def _take_place(new: Path, out: Path, old: Path) -> None:
    try:
        if out.exists():
            out.rename(old)  # no system renames a folder over a full one
        new.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
