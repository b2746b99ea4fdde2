"""A new version of a model takes the place of the old one, if it is better."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from vampcli import checkpoint
from vampcli.errors import ModelError, UsageError
from vampcli.train.config import CodecRun, TokenRun
from vampcli.train.data import write_whole
from vampcli.train.validate import validate

Run = CodecRun | TokenRun
_FIGURES = {"codec": "mel_error", "coarse": "loss", "fine": "loss"}  # less is better
_CREDITS = "CREDITS.md"


@dataclass(frozen=True)
class Comparison:
    """One part of two versions on the validation pieces; less is better.

    Attributes:
        part: codec, coarse or fine.
        figure: what was measured: the codec's mel error, a transformer's held-out loss.
        new: of the new version.
        bar: what it has to stay below: the old version's figure or, where tokens differ and losses
            cannot be compared, the loss of a model that only counts.
    """

    part: str
    figure: str
    new: float
    bar: float


def changed_parts(old: Path, new: Path, wanted: Collection[str] | None = None) -> list[str]:
    """Which parts a new version holds that differ from the old one's, by their bytes.

    Args:
        old: model folder.
        new: model folder; a part it lacks is not changed.
        wanted: the parts to look at; all by default.

    Raises:
        UsageError: a wanted part is none.
        ModelError: encoder or quantiser changed, and the new version does not bring all three parts.
    """
    unknown = sorted(set(wanted or ()) - set(checkpoint.PARTS))
    if unknown:
        raise UsageError(f"no part is named {unknown[0]!r}", "choose codec, coarse or fine")
    parts = [part for part in wanted or checkpoint.PARTS if _file(new, part).is_file()]
    changed = [part for part in parts if _bytes(_file(new, part)) != _bytes(_file(old, part))]
    if _other_tokens(old, new) and set(changed) != set(checkpoint.PARTS):
        raise ModelError(
            f"{new} has another encoder or quantiser than {old}, but no coarse and fine model of its own",
            "train both on its tokens, and promote all three together",
        )
    return changed


def compare(old: Path, new: Path, parts: list[str], runs: Mapping[str, Run]) -> list[Comparison]:
    """Measure the changed parts of both versions.

    Args:
        old: model folder.
        new: model folder.
        parts: to measure.
        runs: of every part, to name the validation pieces; those of coarse and fine with tokens of the new codec.

    Raises:
        UsageError: the run of a part is missing.
        ModelError: a folder does not fit the runs.
    """
    missing = [part for part in parts if part not in runs]
    if missing:
        raise UsageError(
            f"the {missing[0]} changed, but no run says how to measure it", f"name one with --{missing[0]}"
        )
    compared = []
    for part in parts:
        figures, name = validate(runs[part], new), _FIGURES[part]
        if part != "codec" and _other_tokens(old, new):
            bar = figures[f"unigram_{name}"]
        else:
            bar = validate(runs[part], old)[name] if _file(old, part).is_file() else float("inf")
        compared.append(Comparison(part, name, figures[name], bar))
    return compared


def promote(old: Path, new: Path, compared: list[Comparison]) -> list[Path]:
    """Copy what changed over the old version; nothing else in its folder is touched.

    Args:
        old: model folder to change.
        new: model folder to take the parts from.
        compared: what `compare` found.

    Returns:
        The files written.

    Raises:
        ModelError: a part is not better; nothing is written.
    """
    for c in compared:
        if not c.new < c.bar:  # NaN is no better, either
            raise ModelError(
                f"the new {c.part} is not better: {c.figure} {c.new:.4f}, it takes less than {c.bar:.4f}",
                "train on, or promote the other parts alone with --part",
            )
    written = [old / f"{c.part}.safetensors" for c in compared]
    if compared and (new / _CREDITS).is_file() and _bytes(new / _CREDITS) != _bytes(old / _CREDITS):
        written.append(old / _CREDITS)
    for path in written:
        write_whole(path, lambda partial, path=path: shutil.copyfile(new / path.name, partial))  # type: ignore[misc]
    if compared:
        config = _merged(old, new, [c.part for c in compared])
        if config != checkpoint.read_config(old):
            text = json.dumps(config, indent=1) + "\n"
            write_whole(old / checkpoint.CONFIG, lambda partial: partial.write_text(text, encoding="utf-8"))
            written.append(old / checkpoint.CONFIG)
    return written


def _merged(old: Path, new: Path, parts: list[str]) -> dict[str, object]:
    """The old `config.json` with the new tables of what was promoted, where that comes from, and what suits it."""
    own, other = checkpoint.read_config(old), checkpoint.read_config(new)
    suits = ["temperature"] if "coarse" in parts else []  # a new codec alone says nothing of the transformers
    return own | {name: other[name] for name in (*parts, "provenance", *suits) if name in other}


def _other_tokens(old: Path, new: Path) -> bool:
    return checkpoint.stored_hash(_file(old, "codec")) != checkpoint.stored_hash(_file(new, "codec"))


def _file(folder: Path, part: str) -> Path:
    return folder / f"{part}.safetensors"


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
