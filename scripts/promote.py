"""Replace a model by a new version, if every changed part is better on the validation pieces.

python scripts/promote.py models/new --into checkpoints/mini --codec configs/mini-codec.toml \
  --coarse configs/mini-coarse.toml --fine configs/mini-fine.toml
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vampcli.checkpoints.folder import CONFIG, PARTS, read_config
from vampcli.checkpoints.headers import stored_hash
from vampcli.cli.console import guarded
from vampcli.errors import ModelError, UsageError
from vampcli.files import replacing
from vampcli.train.config import CodecRun, TokenRun, load_run
from vampcli.train.credits import CARD, CREDITS, carry_licences, works
from vampcli.train.validate import validate

Run = CodecRun | TokenRun
_FIGURES = {"codec": "mel_error", "coarse": "loss", "fine": "loss"}  # less is better


@dataclass(frozen=True)
class Comparison:
    """One part of two versions on the validation pieces; less is better.

    Attributes:
        part: codec, coarse or fine.
        figure: the codec's mel error, or a transformer's held-out loss.
        new: figure of the new version.
        bar: limit: the old version's figure, or the loss of a unigram model where tokens differ, since losses
            are not comparable then.
        against: source of the limit.
    """

    part: str
    figure: str
    new: float
    bar: float
    against: str = "old version"


def changed_parts(old: Path, new: Path, wanted: Collection[str] | None = None) -> list[str]:
    """Return the parts of a new version whose files differ from the old one's.

    Args:
        old: model folder.
        new: model folder; a part it lacks is not changed.
        wanted: parts to compare; all by default.

    Raises:
        UsageError: there is no such part.
        ModelError: encoder or quantiser changed, and the new version does not bring all three parts.
    """
    unknown = sorted(set(wanted or ()) - set(PARTS))
    if unknown:
        raise UsageError(f"no part is named {unknown[0]!r}", "choose codec, coarse or fine")
    parts = [part for part in wanted or PARTS if _file(new, part).is_file()]
    changed = [part for part in parts if _bytes(_file(new, part)) != _bytes(_file(old, part))]
    if _other_tokens(old, new) and set(changed) != set(PARTS):
        raise ModelError(
            f"{new} has another encoder or quantiser than {old}, but not both a coarse and a fine model",
            "train both on its tokens, and promote all three together",
        )
    return changed


def compare(old: Path, new: Path, parts: list[str], runs: Mapping[str, Run]) -> list[Comparison]:
    """Measure the changed parts of both versions.

    Args:
        old: model folder.
        new: model folder.
        parts: to measure.
        runs: by part, to name the validation pieces; those of coarse and fine with tokens of the new codec.

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
            bar, against = figures[f"unigram_{name}"], "unigram, since tokens differ"
        else:
            bar, against = _old_figure(runs[part], old, part), "old version"
        compared.append(Comparison(part, name, figures[name], bar, against))
    return compared


def _old_figure(run: Run, old: Path, part: str) -> float:
    return validate(run, old)[_FIGURES[part]] if _file(old, part).is_file() else float("inf")


def promote(old: Path, new: Path, compared: list[Comparison]) -> list[Path]:
    """Copy the changed parts over the old version, with credits and licences; the rest of its card stays.

    Args:
        old: model folder to change.
        new: model folder to take the parts from.
        compared: what `compare` found.

    Returns:
        The files written.

    Raises:
        ModelError: a part is not better, or the new credits lack music that an unchanged part was trained on;
            nothing is written.
    """
    for c in compared:
        if not c.new < c.bar:  # also if it is NaN
            raise ModelError(
                f"the new {c.part} is not better: {c.figure} {c.new:.4f}, it takes less than {c.bar:.4f}",
                "train on, or promote the other parts alone with --part",
            )
    texts = _credits(old, new, [c.part for c in compared])
    written = [old / f"{c.part}.safetensors" for c in compared]
    if compared:
        config = _merge_configs(old, new, [c.part for c in compared])
        if config != read_config(old):
            texts[old / CONFIG] = json.dumps(config, indent=1) + "\n"
    for path in written:
        with replacing(path, overwrite=True) as temp:
            shutil.copyfile(new / path.name, temp)
    for path, text in texts.items():
        with replacing(path, overwrite=True) as temp:
            temp.write_text(text, encoding="utf-8")
    return [*written, *texts]


def _credits(old: Path, new: Path, parts: list[str]) -> dict[Path, str]:
    """Return the new text of the old version's credits and card, where it differs."""
    if not parts or not (new / CREDITS).is_file():
        return {}
    before = {path: _bytes(path).decode() for path in (old / CREDITS, old / CARD)}
    after = {
        old / CREDITS: _bytes(new / CREDITS).decode(),
        old / CARD: carry_licences(before[old / CARD], _bytes(new / CARD).decode()),
    }
    lost = works(before[old / CREDITS]) - works(after[old / CREDITS])
    staying = [part for part in PARTS if part not in parts and _file(old, part).is_file()]
    if lost and staying:
        source, title = min(lost)
        raise ModelError(
            f"the new credits lack {len(lost)} works the old {staying[0]} was trained on, such as {title} ({source})",
            "export the new version with an --audio folder that names all the music, or promote all parts",
        )
    return {path: text for path, text in after.items() if text != before[path]}


def _merge_configs(old: Path, new: Path, parts: list[str]) -> dict[str, object]:
    """Return the old `config.json` with the tables of promoted parts, their provenance, and coarse's temperature."""
    before, after = read_config(old), read_config(new)
    names = [*parts, "provenance", *(["temperature"] if "coarse" in parts else [])]
    return before | {name: after[name] for name in names if name in after}


def _other_tokens(old: Path, new: Path) -> bool:
    return stored_hash(_file(old, "codec")) != stored_hash(_file(new, "codec"))


def _file(folder: Path, part: str) -> Path:
    return folder / f"{part}.safetensors"


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and promote; print a JSON object for each part, then the files replaced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("new", type=Path, help="model folder with the new version")
    parser.add_argument("--into", type=Path, required=True, help="model folder whose files to replace")
    for part in PARTS:
        parser.add_argument(f"--{part}", type=Path, metavar="TOML", help=f"run whose validation measures the {part}")
    parser.add_argument("--part", action="append", help="codec, coarse or fine: promote this part alone; repeatable")
    given = parser.parse_args(arguments)
    kinds = {part: CodecRun if part == "codec" else TokenRun for part in PARTS}
    runs = {part: load_run(getattr(given, part), kind) for part, kind in kinds.items() if getattr(given, part)}
    compared = compare(given.into, given.new, changed_parts(given.into, given.new, given.part), runs)
    for comparison in compared:
        sys.stdout.write(json.dumps(asdict(comparison)) + "\n")
        sys.stdout.flush()
    for path in promote(given.into, given.new, compared):
        sys.stdout.write(f"replaced {path}\n")


if __name__ == "__main__":
    sys.exit(guarded(main)())
