"""Carry a folder as files of at most 16 MB: split it, and join it again elsewhere.

python scripts/pieces.py split models/new -o home
python scripts/pieces.py join home -o models/new
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from vampcli.cli.console import guarded
from vampcli.errors import InputError
from vampcli.files import child

INDEX = "pieces.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Split or join; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("split", "join"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--max-mb", type=float, default=16.0, help="of one piece; 16 by default")
    options = parser.parse_args(arguments)
    if options.what == "split":
        split(options.folder, options.out, round(options.max_mb * 1e6))
        return 0
    join(options.folder, options.out)
    return 0


def split(folder: Path, out: Path, max_bytes: int) -> None:
    """Write `pieces.json` and pieces of one archive of the files in a folder."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", "name the folder to carry")
    out.mkdir(parents=True, exist_ok=True)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    data = whole.getvalue()
    names: list[str] = []
    for start in range(0, len(data), max_bytes):
        names.append(f"piece-{len(names):03d}")
        (out / names[-1]).write_bytes(data[start : start + max_bytes])
    index = {"pieces": names, "sha256": hashlib.sha256(data).hexdigest()}
    (out / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")


def join(pieces: Path, out: Path) -> None:
    """Put the folder together again.

    Raises:
        InputError: a piece is missing or damaged.
    """
    try:
        index = json.loads((pieces / INDEX).read_text(encoding="utf-8"))
        data = b"".join(child(pieces, name, INDEX).read_bytes() for name in index["pieces"])
        whole = hashlib.sha256(data).hexdigest() == index["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read the pieces in {pieces}: {error}", "carry them again") from error
    if not whole:
        raise InputError(f"the pieces in {pieces} are damaged: their hash is not that of {INDEX}", "carry them again")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(out)


if __name__ == "__main__":
    sys.exit(guarded(main)())
