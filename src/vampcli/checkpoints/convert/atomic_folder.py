"""Model folders that are written whole or not at all."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vampcli.checkpoints.folder import CONFIG, PARTS, refuse_existing
from vampcli.errors import InputError


@contextmanager
def whole(out: Path, overwrite: bool) -> Iterator[Path]:
    """Give a new folder beside `out` to fill; it takes that name when all went well, else nothing changes.

    What else lies in a model folder that is replaced stays in it. Of two at once the later one wins. A killed one
    leaves a hidden folder, which the next one removes.

    Args:
        out: the folder wanted; not there, empty, or, with `overwrite`, a model folder.
        overwrite: replace a model.

    Raises:
        InputError: `out` is in the way or cannot be written.
    """
    out = out.resolve()
    temp = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temp = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
        _clear(out, temp)
        is_model = (out / CONFIG).exists()
        refuse_existing(out, overwrite)
        if out.exists() and not is_model and not (out.is_dir() and next(out.iterdir(), None) is None):
            raise InputError(f"cannot write {out}: there is something else", "name a new folder")
        new = temp / "new"  # one deeper, where nobody looks for models
        new.mkdir()
        if is_model:
            ours = (CONFIG, *(f"{part}.safetensors" for part in PARTS))
            shutil.copytree(out, new, ignore=shutil.ignore_patterns(*ours), dirs_exist_ok=True)
        yield new
        _take_place(new, out, temp / "old")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error}", "name another folder, or make room") from error
    finally:
        if temp is not None:
            shutil.rmtree(temp, ignore_errors=True)


def _clear(out: Path, temp: Path) -> None:
    """Remove what killed ones left; a model that was on its way out returns."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.????????.partial"):
        if left != temp:
            gone = temp / "left"
            left.rename(gone)  # first: nothing half removed can take our place, should somebody still be at it
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
