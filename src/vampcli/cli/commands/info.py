"""`vamp info`: the format of a file, and its recipe."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from vampcli.audio.find import SOUNDS, FoundFile, find
from vampcli.audio.formats import TOKENS, NaN
from vampcli.audio.metadata.carry import Metadata
from vampcli.cli import options as o
from vampcli.cli.commands.presets import settings
from vampcli.cli.console import Console, guarded, report
from vampcli.cli.jobs.job import Facts
from vampcli.cli.jobs.pipes import Pipes, local_copy, pipes
from vampcli.cli.jobs.places import source_words
from vampcli.config import MemoryConfig, PromptConfig, SamplingConfig
from vampcli.errors import InputError, UsageError, VampError
from vampcli.recipe.embed import SIDECAR, recipe_of
from vampcli.recipe.recipe import InputSource, Part, Recipe, to_table
from vampcli.schema import from_table

_MOST_SPANS = 8
_STEADY = 0.35  # confidence in a tempo: as measured in docs/tutorial.md
_LENGTH_FROM = {"header": ", as the header says", "samples": ", decoded", "tokens": ""}


@guarded
def info(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Sound, .vamp files, sidecars, folders, @list.txt, or -.")
    ],
    recursive: o.Recursive = False,
    quick: Annotated[bool, typer.Option("--quick", help="Trust the header; no level, no tempo.")] = False,
    nan: o.NaNs = "error",
    as_json: o.Json = False,
) -> None:
    """Show formats and recipes of files: command, seed, model, licence, synthetic spans.

    Example: vamp info song.inpaint.7.wav
    Example: vamp info takes/ --quick --json
    """
    with pipes(inputs, o.Common(), sounds=False) as piped:
        failures = _show(find(piped.inputs(inputs), recursive, (*SOUNDS, TOKENS)), piped, quick, nan, as_json)
    for failure in failures:
        report(failure)
    if failures:
        raise SystemExit(int(failures[0].exit_code))


def _show(files: list[FoundFile], piped: Pipes, quick: bool, nan: NaN, as_json: bool) -> list[VampError]:
    """Print the facts of each file, and return the errors of those that cannot be read."""
    console, failures = Console(), []
    for found in files:
        facts: Facts = {"file": piped.label(found.path)}
        recipe = None
        try:
            piped.fill(found.path)
            with local_copy(found.path) as path:
                metadata = _metadata(path)
                with nullcontext() if quick else console.progress("finding the tempo"):
                    facts |= _facts(path, metadata, quick, nan)
                recipe = recipe_of(path, metadata=metadata)
        except InputError as error:
            failures.append(piped.rename(error, found.path))
            facts |= {"error": failures[-1].message, "hint": error.hint}
        if as_json:
            console.result({**facts, "recipe": to_table(recipe) if recipe else None})
        elif len(facts.keys() - {"error", "hint"}) > 1 or recipe:
            console.result(_page(facts, recipe))
    return failures


def _metadata(path: Path) -> Metadata | None:
    """Metadata of a sound file; None of a token file or a recipe."""
    if path.suffix.lower() in (SIDECAR, TOKENS):
        return None
    from vampcli.audio.read import read_metadata

    return read_metadata(path)


def _facts(path: Path, metadata: Metadata | None, quick: bool, nan: NaN) -> Facts:
    """Format of a file, and figures of its samples; `quick`: as its header says."""
    if metadata is None:
        return _of_tokens(path) if path.suffix.lower() == TOKENS else {}
    from vampcli.audio.read import inspect

    form = inspect(path)
    facts: Facts = {
        "format": form.container,
        "subtype": form.subtype,
        "sample_rate": form.sample_rate,
        "n_channels": form.n_channels,
        "n_samples": form.n_samples,
        "duration_s": form.n_samples / form.sample_rate,
        "length_from": "header",
    }
    if loop := metadata.loop():
        facts["loop_s"] = [sample / form.sample_rate for sample in loop]
    return facts if quick else {**facts, **_of_samples(path, nan)}


def _of_samples(path: Path, nan: NaN) -> Facts:
    """Length, level and tempo; None without a signal or a beat."""
    from vampcli.audio.read import read
    from vampcli.config import TempoConfig
    from vampcli.tasks.recording import Recording

    recording = Recording(read(path, nan), path)
    clip, samples = recording.clip, recording.clip.samples
    peak = max(float(samples.max()), -float(samples.min()))
    try:
        pulse = recording.pulse(TempoConfig())
    except InputError:  # there is no beat
        pulse = None
    length = {"n_samples": clip.n_samples, "duration_s": clip.duration_s, "length_from": "samples"}
    level = {"lufs": recording.lufs, "peak_dbfs": 20 * math.log10(peak) if peak else None}
    tempo = {"bpm": pulse and pulse.bpm, "bpm_confidence": pulse and round(pulse.confidence, 2)}
    return length | level | tempo


def _of_tokens(path: Path) -> Facts:
    from vampcli.recipe import token_file

    file = token_file.load(path)
    return {
        "format": "VAMP",
        "subtype": file.subtype,
        "sample_rate": file.sample_rate,
        "n_channels": file.n_channels,
        "n_samples": file.n_samples,
        "duration_s": file.n_samples / file.sample_rate,
        "length_from": "tokens",
        "keep_codebooks": file.n_kept_codebooks,
        "period": file.period,
        "bits_per_second": file.bits_per_second,
        "n_bytes": path.stat().st_size,
        "file_bits_per_second": path.stat().st_size * 8 * file.sample_rate / file.n_samples,
    }


def _page(facts: Facts, recipe: Recipe | None) -> str:
    """The facts as text, one per line."""
    rows = [*_sound_rows(facts), *(_recipe_rows(recipe, facts.get("sample_rate")) if recipe else [])]
    return "\n".join([facts["file"], *(f"  {name:<10} {value}" for name, value in rows if value)])


def _sound_rows(facts: Facts) -> list[tuple[str, str]]:
    if "n_samples" not in facts:
        return []
    channels = {1: "mono", 2: "stereo"}.get(facts["n_channels"], f"{facts['n_channels']} channels")
    rows = [
        ("format", f"{facts['format']}, {facts['subtype']}, {facts['sample_rate']} Hz, {channels}"),
        ("length", f"{facts['duration_s']:.3f} s, {facts['n_samples']} samples{_LENGTH_FROM[facts['length_from']]}"),
    ]
    if "lufs" in facts:
        level = [("{:.1f} LUFS", facts["lufs"]), ("peak {:.1f} dBFS", facts["peak_dbfs"])]
        rows.append(("level", ", ".join(words.format(x) for words, x in level if x is not None) or "silence"))
        rows.append(("tempo", _tempo(facts["bpm"], facts["bpm_confidence"])))
    if "loop_s" in facts:
        rows.append(("loop", "{:.3f}-{:.3f} s".format(*facts["loop_s"])))
    if "bits_per_second" in facts:
        kept = f"{facts['keep_codebooks']} codebooks, period {facts['period']}"
        rows.append(("tokens", f"{facts['bits_per_second']:.0f} bit/s ({kept})"))
        rows.append(("file", f"{facts['file_bits_per_second']:.0f} bit/s ({facts['n_bytes']} bytes)"))
    return rows


def _tempo(bpm: float | None, confidence: float | None) -> str:
    if bpm is None or confidence is None:
        return "no beat found"
    if confidence < _STEADY:
        return f"no steady tempo (nearest: {bpm:.1f} bpm, confidence {confidence:.2f})"
    return f"{bpm:.1f} bpm (confidence {confidence:.2f})"


_PARTS: dict[Part, str] = {
    "all": "",
    "generated": "what was made, alone",
    "difference": "what was added",
    "preview": "a preview: few steps, and the surroundings of what was made",
}


def _recipe_rows(recipe: Recipe, sample_rate: int | None) -> list[tuple[str, str]]:
    made_by, sampling = recipe.made_by, _changes(vars(recipe.sampling), vars(SamplingConfig()))
    rows = [
        ("made by", f"vamp {recipe.command}, seed {recipe.seed}"),
        ("of", _source_words(recipe.source)),
        ("asked", _request_words(recipe.request)),
        ("sampling", ", ".join(sampling) or "as usual"),
        ("written", _PARTS[recipe.part]),
        ("synthetic", _spans(recipe, sample_rate)),
        ("from", _sources(recipe, sample_rate)),
        ("model", f"{made_by.model} ({made_by.model_sha256[:12]})" if made_by.model_sha256 else "none ran"),
        ("licence", ", ".join(recipe.licences)),
        ("with", f"vamp {made_by.version}, torch {made_by.torch}, {made_by.device}, {made_by.dtype}"),
    ]
    for earlier in recipe.earlier:
        model = earlier.made_by.model if earlier.made_by.model_sha256 else "no model"
        rows.append(("before", f"vamp {earlier.command}, seed {earlier.seed}, {model}"))
    return rows


def _source_words(source: InputSource) -> str:
    name = source.name or "sound without a file"
    return f"{name} (sha256 {source.sha256[:12]})" if source.sha256 else "left out"


def _spans(recipe: Recipe, sample_rate: int | None) -> str:
    """Synthetic spans, in seconds if the rate is known."""
    if not recipe.synthetic:
        return "nothing"
    share = sum(end - start for start, end in recipe.synthetic) / recipe.n_samples
    scale, unit, digits = (sample_rate, "s", 3) if sample_rate else (1, "samples", 0)
    spans = [f"{start / scale:.{digits}f}-{end / scale:.{digits}f}" for start, end in recipe.synthetic]
    more = f" and {len(spans) - _MOST_SPANS} more" if len(spans) > _MOST_SPANS else ""
    return f"{', '.join(spans[:_MOST_SPANS])} {unit}{more}, {100 * share:.1f} %"


def _sources(recipe: Recipe, sample_rate: int | None) -> str:
    """Places of the recording that synthetic spans were copied from and edited."""
    try:
        memory = from_table(MemoryConfig, recipe.request.get("memory", {}), "memory")
    except UsageError:  # of a later version
        return ""
    if not memory.sources or not sample_rate:
        return ""
    return f"edited copies (edit {memory.edit:g}): {source_words(memory.sources, sample_rate)}"


def _request_words(request: dict[str, Any]) -> str:
    words = []
    for name, value in request.items():
        if isinstance(value, dict):
            words.append(_prompt(value) if name == "prompt" else _request_words(value))
        elif name != "sources" and value not in (None, "", [], ()):
            words.append(f"{name} {json.dumps(value)}")
    return ", ".join(word for word in words if word)


def _prompt(table: dict[str, Any]) -> str:
    try:
        return settings(from_table(PromptConfig, table, "prompt"))
    except UsageError:  # of a later version
        return json.dumps(table)


def _changes(values: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    changed = {name: value for name, value in values.items() if value != usual[name]}
    return [f"{name} {value if isinstance(value, str) else format(value, 'g')}" for name, value in changed.items()]
