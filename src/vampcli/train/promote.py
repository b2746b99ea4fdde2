"""A new version of a model takes the place of the old one, if it is better."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vampcli.checkpoints.folder import CONFIG, PARTS, read_config
from vampcli.checkpoints.weights import stored_hash
from vampcli.errors import ModelError, UsageError
from vampcli.train.config import CodecRun, TokenRun
from vampcli.train.credits import CARD, CREDITS, carried, works
from vampcli.train.data import write_whole
from vampcli.train.validate import validate

Run = CodecRun | TokenRun
_FIGURES = {"codec": "mel_error", "coarse": "loss", "fine": "loss"}  # less is better


@dataclass(frozen=True)
class Comparison:
    """One part of two versions on the validation pieces; less is better.

    Attributes:
        part: codec, coarse or fine.
        figure: what was measured: the codec's mel error, a transformer's held-out loss.
        new: of the new version.
        bar: what it has to stay below: the old version's figure or, where tokens differ and losses
            cannot be compared, the loss of a model that only counts.
        against: whose figure the bar is: the old version's, or that of counting.
    """

    part: str
    figure: str
    new: float
    bar: float
    against: str = "old version"


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
    unknown = sorted(set(wanted or ()) - set(PARTS))
    if unknown:
        raise UsageError(f"no part is named {unknown[0]!r}", "choose codec, coarse or fine")
    parts = [part for part in wanted or PARTS if _file(new, part).is_file()]
    changed = [part for part in parts if _bytes(_file(new, part)) != _bytes(_file(old, part))]
    if _other_tokens(old, new) and set(changed) != set(PARTS):
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
            bar, against = figures[f"unigram_{name}"], "counting, since tokens differ"
        else:
            bar, against = _old_figure(runs[part], old, part), "old version"
        compared.append(Comparison(part, name, figures[name], bar, against))
    return compared


def _old_figure(run: Run, old: Path, part: str) -> float:
    return validate(run, old)[_FIGURES[part]] if _file(old, part).is_file() else float("inf")


def promote(old: Path, new: Path, compared: list[Comparison]) -> list[Path]:
    """Copy what changed over the old version, with credits and licences; what people wrote in its card stays.

    Args:
        old: model folder to change.
        new: model folder to take the parts from.
        compared: what `compare` found.

    Returns:
        The files written.

    Raises:
        ModelError: a part is not better, or the new credits lack music that a part which stays has learned from;
            nothing is written.
    """
    for c in compared:
        if not c.new < c.bar:  # NaN is no better, either
            raise ModelError(
                f"the new {c.part} is not better: {c.figure} {c.new:.4f}, it takes less than {c.bar:.4f}",
                "train on, or promote the other parts alone with --part",
            )
    texts = _credits(old, new, [c.part for c in compared])
    written = [old / f"{c.part}.safetensors" for c in compared]
    for path in written:
        write_whole(path, lambda target, path=path: shutil.copyfile(new / path.name, target))  # type: ignore[misc]
    for path, text in texts.items():
        write_whole(path, partial(Path.write_text, data=text, encoding="utf-8"))
    written += texts
    if compared:
        config = _merged(old, new, [c.part for c in compared])
        if config != read_config(old):
            text = json.dumps(config, indent=1) + "\n"
            write_whole(old / CONFIG, partial(Path.write_text, data=text, encoding="utf-8"))
            written.append(old / CONFIG)
    return written


def _credits(old: Path, new: Path, parts: list[str]) -> dict[Path, str]:
    """What credits and card of the old version become, where that is something else."""
    if not parts or not (new / CREDITS).is_file():
        return {}
    before = {path: _bytes(path).decode() for path in (old / CREDITS, old / CARD)}
    after = {
        old / CREDITS: _bytes(new / CREDITS).decode(),
        old / CARD: carried(before[old / CARD], _bytes(new / CARD).decode()),
    }
    lost = works(before[old / CREDITS]) - works(after[old / CREDITS])
    staying = [part for part in PARTS if part not in parts and _file(old, part).is_file()]
    if lost and staying:
        who, title = min(lost)
        raise ModelError(
            f"the new credits lack {len(lost)} works that the old {staying[0]} learned from, such as {title} ({who})",
            "export the new version with an --audio folder that names all the music, or promote all parts",
        )
    return {path: text for path, text in after.items() if text != before[path]}


def _merged(old: Path, new: Path, parts: list[str]) -> dict[str, object]:
    """The old `config.json` with the new tables of what was promoted, where that comes from, and what suits it."""
    own, other = read_config(old), read_config(new)
    suits = ["temperature"] if "coarse" in parts else []  # a new codec alone says nothing of the transformers
    return own | {name: other[name] for name in (*parts, "provenance", *suits) if name in other}


def _other_tokens(old: Path, new: Path) -> bool:
    return stored_hash(_file(old, "codec")) != stored_hash(_file(new, "codec"))


def _file(folder: Path, part: str) -> Path:
    return folder / f"{part}.safetensors"


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
