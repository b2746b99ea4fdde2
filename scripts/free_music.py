"""Fetch the music of `configs/free-music.tsv` from Debian packages, without installing them, and prepare it.

Packages are downloaded into DIR/packages, what the table names is unpacked into DIR/root, and each split is prepared
into DIR/SPLIT by `vamp prepare`. A second run goes on where the first one stopped; a package that lies in
DIR/packages already is not downloaded. Run it on Debian 12 (bookworm), whose versions the table was made from.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.audio.find import MODULES
from vampcli.cli.console import guarded
from vampcli.errors import InputError
from vampcli.files import child, replacing

TABLE = Path(__file__).parents[1] / "configs/free-music.tsv"
IN_ZIP = ".x/"  # `music.zip.x/song.ogg` is song.ogg inside music.zip


@dataclass(frozen=True)
class Package:
    """A Debian package and the rows of the table that lie in it."""

    name: str
    version: str
    rows: tuple[dict[str, str], ...]

    def file(self, folder: Path) -> Path | None:
        """The package's file, if it has been downloaded."""
        return next(iter(sorted(folder.glob(f"{self.name}_{self.version.replace(':', '%3a')}_*.deb"))), None)

    def missing(self, root: Path) -> list[str]:
        """Paths of the table that are not unpacked yet."""
        return [row["path"] for row in self.rows if not (root / row["path"]).exists()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch, unpack and prepare; returns the exit code."""
    options = parse(arguments)
    downloads, root = options.out / "packages", options.out / "root"
    rows = [row for row in read_table(options.table) if row["split"] in options.splits]
    packages = [p for p in packages_of(rows) if p.name not in options.without]
    to_fetch = [p for p in packages if p.missing(root) and p.file(downloads) is None]
    sizes = download_bytes(to_fetch)
    too_large = {name for name, size in sizes.items() if size > options.max_mb * 1e6}
    packages = [p for p in packages if p.name not in too_large]
    to_fetch = [p for p in to_fetch if p.name not in too_large]
    hours = sum(float(row["seconds"]) for p in packages for row in p.rows) / 3600
    total = sum(sizes[p.name] for p in to_fetch) / 1e6
    say(f"{len(packages)} packages, {hours:.1f} h of music; {len(to_fetch)} to download: {total:.0f} MB")
    for name in sorted(too_large):
        say(f"left out: {name}, {sizes[name] / 1e6:.0f} MB")
    if options.dry_run:
        return 0
    n_modules = sum(Path(row["path"]).suffix.lower() in MODULES for p in packages for row in p.rows)
    if n_modules and shutil.which("openmpt123") is None:
        raise InputError(f"nothing here plays {n_modules} tracker modules", "apt-get install openmpt123")
    try:
        downloads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {downloads}: {error.strerror}", "name another with --out") from error
    failed = [p.name for p in packages if not provide(p, downloads, root)]
    chosen = [row for p in packages if p.name not in failed for row in p.rows]
    codes = [prepare(options.out, root, split, chosen) for split in options.splits]
    for name in failed:
        say(f"could not be had: {name}")
    return 3 if failed else max(codes)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data"), metavar="DIR", help="where all goes [data]")
    parser.add_argument("--table", type=Path, default=TABLE, help="the music table")
    parser.add_argument(
        "--splits", nargs="+", default=["train", "val", "test"], choices=["train", "val", "test", "ood"]
    )
    parser.add_argument("--without", nargs="+", default=[], metavar="PACKAGE", help="packages to leave out")
    parser.add_argument("--max-mb", type=float, default=float("inf"), help="leave out downloads above that")
    parser.add_argument("--dry-run", action="store_true", help="say how much there is, and stop")
    return parser.parse_args(arguments)


def say(text: str) -> None:
    """Tell people."""
    sys.stderr.write(text + "\n")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a music table."""
    needed = {"package", "version", "path", "seconds", "split"}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            lacking = sorted(needed - set(rows.fieldnames or ()))
            if lacking:
                raise InputError(f"{path} has no column {lacking[0]!r}", f"it needs {', '.join(sorted(needed))}")
            return list(rows)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the table {path}: {error}", "name a tab-separated file") from error


def packages_of(rows: Sequence[dict[str, str]]) -> list[Package]:
    """The packages of a table, in its order."""
    names = dict.fromkeys((row["package"], row["version"]) for row in rows)
    return [Package(*key, rows=tuple(row for row in rows if (row["package"], row["version"]) == key)) for key in names]


def download_bytes(packages: Sequence[Package]) -> dict[str, int]:
    """Return the size of each package according to apt; 0 if unknown."""
    sizes = dict.fromkeys((p.name for p in packages), 0)
    if not packages:
        return sizes
    try:
        command = ["apt-cache", "show", *(f"{p.name}={p.version}" for p in packages)]
        said = subprocess.run(command, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise InputError("there is no apt here", "run this on Debian 12, or in a container of it") from None
    for stanza in said.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Size): (.*)$", stanza, re.MULTILINE))
        if "Size" in fields:
            sizes[fields["Package"]] = int(fields["Size"])
    return sizes


def provide(package: Package, downloads: Path, root: Path) -> bool:
    """Unpack what is missing of a package, downloading it if need be; False if that fails."""
    if not package.missing(root):
        return True
    if package.file(downloads) is None:
        say(f"downloading {package.name}")
        subprocess.run(["apt-get", "download", "--quiet", f"{package.name}={package.version}"], cwd=downloads)
    file = package.file(downloads)
    if file is None:
        return False
    say(f"unpacking {package.name}")
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".unpacking-") as temporary:
        if subprocess.run(["dpkg-deb", "-x", str(file), temporary]).returncode:
            return False
        for path in package.missing(root):
            take(Path(temporary), root, path)
    left = package.missing(root)
    for path in left:
        say(f"not in {package.name}: {path}")
    return not left


def take(unpacked: Path, root: Path, path: str) -> None:
    """Bring one path of the table, from an unpacked package or a zip in it, to its place below `root`."""
    for part in Path(path).parts:
        child(root, part, "the table")
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    archive, inside, member = path.partition(IN_ZIP)
    if not inside:
        if (unpacked / path).exists():
            (unpacked / path).rename(place)
        return
    if not zipfile.is_zipfile(unpacked / archive):
        return
    with zipfile.ZipFile(unpacked / archive) as zipped:
        if member in zipped.namelist():
            with zipped.open(member) as source, replacing(place, overwrite=True) as temp, temp.open("wb") as target:
                shutil.copyfileobj(source, target)


def prepare(out: Path, root: Path, split: str, rows: Sequence[dict[str, str]]) -> int:
    """Prepare the rows of one split in a separate folder; return the exit code."""
    rows = [row for row in rows if row["split"] == split]
    if not rows:
        return 0
    table = out / f"{split}.tsv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    command = ["prepare", "--table", str(table), "--root", str(root), "--split", split, "-o", str(out / split)]
    return subprocess.run([sys.executable, "-m", "vampcli", *command]).returncode


if __name__ == "__main__":
    sys.exit(guarded(main)())
