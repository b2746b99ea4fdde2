"""What all parts of the benchmark share: options, the folder of things made once, clips, models, raw results."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile as sf

from benchmarks.machine import describe

if TYPE_CHECKING:
    from vampcli import Model

ROOT = Path(__file__).parents[1]
PUBLISHED = "published"
_SONG = ROOT / "examples/island-dreams.wav"


@dataclass(frozen=True)
class Bench:
    """How to measure.

    Attributes:
        cache: folder of weights, clips and raw results.
        device: cpu or cuda.
        n_runs: of each way, in turn; slow ones run less often.
        quick: little work, to see that all of it works.
        extra: options of `vamp` that the fast side is given, such as --compile.
    """

    cache: Path
    device: str = "cpu"
    n_runs: int = 5
    quick: bool = False
    extra: tuple[str, ...] = ()

    def load(self, where: str, dtype: str = "auto", exact: bool = False) -> Model:
        """The fast side of a model, in this process; of `extra`, precision, --exact and --compile count here."""
        import vampcli

        if dtype == "auto" and "--dtype" in self.extra:
            dtype = self.extra[self.extra.index("--dtype") + 1]
        return vampcli.load(where, self.device, dtype, exact or "--exact" in self.extra, "--compile" in self.extra)

    def clip(self, seconds: float, name: str = "") -> Path:
        """A stereo recording of that length: the example, over and over."""
        path = self.cache / "clips" / f"{name or f'{seconds:g}s'}.wav"
        if not path.exists():
            song, rate = sf.read(_SONG, dtype="int16")
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, np.resize(song, (round(seconds * rate), song.shape[1])), rate)
        return path

    def folder(self, n: int, seconds: float) -> list[Path]:
        """So many clips in a folder of their own."""
        return [self.clip(seconds, f"{n}x{seconds:g}s/{i:03}") for i in range(n)]

    def save(self, part: str, model: str, results: Sequence[Any]) -> None:
        """Keep raw results, frozen dataclasses, with where and how they were measured."""
        path = self.raw(part, model)
        path.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {"part": part, "command": _command(), "machine": asdict(describe(self.device))}
        content["results"] = [asdict(result) for result in results]
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def raw(self, part: str, model: str) -> Path:
        """Where the raw results of a part are kept."""
        return self.raw_folder / f"{part}-{model}-{self.device}.json"

    @property
    def raw_folder(self) -> Path:
        """Where all raw results are kept; those of little work by themselves."""
        return self.cache / ("raw-quick" if self.quick else "raw")


def _command() -> str:
    """What this process was called with, but for where it keeps things."""
    _, *given = sys.argv
    if "--cache" in given:
        place = given.index("--cache")
        given = given[:place] + given[place + 2 :]
    return shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *given])


@dataclass(frozen=True)
class Subject:
    """A model as both sides know it.

    Attributes:
        name: in tables.
        fast: name or folder for `vamp`.
        plain: name or folder for `benchmarks.plain`.
    """

    name: str
    fast: str
    plain: str


def subject(model: str, cache: Path, stored: str = "fp16") -> Subject:
    """Find a model; random weights of the published sizes are made first, if they are not there.

    Args:
        model: `published`, or what `vamp --model` takes.
        cache: where they are made.
        stored: precision of our copy of the published ones, fp16 or fp32.
    """
    if model != PUBLISHED:
        return Subject(Path(model).name, model, model)
    foreign, ours = cache / "published-files", cache / f"published-{stored}"
    if not foreign.exists():
        partial = foreign.with_suffix(".partial")
        subprocess.run([sys.executable, str(ROOT / "scripts/random_published.py"), str(partial)], check=True)
        partial.rename(foreign)
    if not (ours / "config.json").exists():
        _import(foreign, ours, stored)
    return Subject(PUBLISHED, str(ours), str(foreign))


def _import(foreign: Path, ours: Path, stored: str) -> None:
    code = (
        "import sys; from pathlib import Path; from vampcli.model.devices import DTYPES; "
        "from vampcli.checkpoints.convert import vampnet; "
        "vampnet.import_published(Path(sys.argv[1]), Path(sys.argv[2]), DTYPES[sys.argv[3]])"
    )
    subprocess.run([sys.executable, "-c", code, str(foreign), str(ours), stored], check=True)


def options(description: str) -> argparse.ArgumentParser:
    """The options of every part."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cache", type=Path, default=ROOT / "runs/bench", help="folder of weights, clips, raw results")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--runs", type=int, default=5, help="of each way; those that take minutes run less often")
    parser.add_argument("--quick", action="store_true", help="little work, to see that all of it works")
    parser.add_argument("--fast", default="", metavar="OPTIONS", help='for the fast side, such as "--compile"')
    return parser


def from_options(asked: argparse.Namespace) -> Bench:
    """What was asked for."""
    return Bench(asked.cache.resolve(), asked.device, asked.runs, asked.quick, tuple(shlex.split(asked.fast)))


def measure_part(part: str, description: str, measure: Callable[[Bench, str], Sequence[Any]]) -> None:
    """Be the command `python -m benchmarks.PART`: measure a model, and keep the raw results.

    Args:
        part: its name.
        description: for `--help`.
        measure: gives frozen dataclasses, of a model by name or folder.
    """
    parser = options(description)
    parser.add_argument("--model", default="mini")
    asked = parser.parse_args()
    own = from_options(asked)
    own.save(part, Path(asked.model).name, measure(own, asked.model))
