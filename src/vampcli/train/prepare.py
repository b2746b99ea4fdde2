"""Prepare recordings as training audio: mono, 44.1 kHz, -24 LUFS, 16 bit, without silence, with credits."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vampcli.audio.find import MODULES, sounds_below
from vampcli.audio.loudness import level_gain
from vampcli.audio.read import read
from vampcli.audio.resample import resample
from vampcli.errors import InputError, VampError, from_os_error
from vampcli.files import locked, remove_left_over
from vampcli.train.data import MANIFEST, read_manifest, save_tensors, write_manifest
from vampcli.train.pieces import Piece

SAMPLE_RATE = 44100
SILENCE_DB = -60.0
"""RMS below which 50 ms are silent, at -24 LUFS."""
SILENCE_S = 1.0
"""Longer silence is removed, except `KEPT_S` at both ends."""
KEPT_S = 0.2
SHORTEST_S = 0.5
"""Shorter sound between silences is removed, too."""

_BLOCK_S = 0.05
_MEASURED_S = 600
_N_EXCERPTS = 10
_LONGEST_RENDER_S = 900
_SAVE_EVERY_S = 5.0

Mono = npt.NDArray[np.float32]
Entry = dict[str, Any]
Groups = dict[tuple[str, str], list[Entry]]
"""Entries of the manifest by package and path of their piece."""


@dataclass(frozen=True)
class Outcome:
    """Result of a piece: its manifest entries, one a segment, or the error."""

    piece: Piece
    entries: list[Entry]
    error: VampError | None = None


def prepare(
    pieces: Sequence[Piece], out: Path, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> Iterator[Outcome]:
    """Write every readable piece as int16 audio; pieces of earlier runs are kept, and the manifest is always complete.

    It is written every few seconds and at the end: a killed run repeats only the pieces since.

    Args:
        pieces: to read, all of one split.
        out: folder for the segments, safetensors files (tensor `samples`, int16 (n_samples,) at 44.1 kHz), and for
            `manifest.json`: an entry a segment with `file`, `n_samples`, `seconds`, `sample_rate`, `path` (the
            piece's name), `title`, `author`, `licence`, `package`, `split` and `stamp`, which changes with the source.
        jobs: number of processes; 1 = this process.
        progress: called after each piece.

    Yields:
        The outcome of each piece, in order.

    Raises:
        InputError: the folder holds pieces of another split, or cannot be written.
    """
    known, unsaved = _open_folder(out, pieces), {}
    saved = time.monotonic()
    try:
        for i, outcome in enumerate(_outcomes(pieces, out, known, jobs)):
            key = _key(outcome.piece)
            if outcome.entries and outcome.entries != known.get(key):
                unsaved[key] = outcome.entries
            if time.monotonic() - saved > _SAVE_EVERY_S:
                _merge(out, unsaved)
                unsaved, saved = {}, time.monotonic()
            if progress is not None:
                progress(i + 1, len(pieces))
            yield outcome
    finally:
        _merge(out, unsaved)


def _open_folder(out: Path, pieces: Iterable[Piece]) -> Groups:
    """Return the folder's entries by piece, and write the manifest to check that the folder is writable."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}", "name another one") from error
    remove_left_over(out)
    return _merge(out, {}, {p.split for p in pieces})


def _merge(out: Path, changed: Groups, splits: Collection[str] = ()) -> Groups:
    """Put the entries of some pieces into the manifest, where other processes may have put theirs; return all.

    Files that the manifest no longer names are removed.

    Raises:
        InputError: the folder would hold pieces of several splits, or cannot be written.
    """
    with locked(out):
        entries = read_manifest(out, "split", "package", "path") if (out / MANIFEST).is_file() else []
        before = _group(entries)
        now = {**before, **changed}
        splits = {*splits, *(e["split"] for e in chain(*now.values()))}
        if len(splits) > 1:
            both = f"of the splits {', '.join(sorted(splits))}"
            raise InputError(f"{out} would hold pieces {both}", "use a separate folder for each split")
        if changed or not entries:
            write_manifest(out, list(chain(*now.values())))
        for name in {e["file"] for e in chain(*before.values())} - {e["file"] for e in chain(*now.values())}:
            (out / name).unlink(missing_ok=True)
    return now


def _key(piece: Piece) -> tuple[str, str]:
    return piece.package, piece.name


def _group(entries: Iterable[Entry]) -> Groups:
    groups: Groups = {}
    for entry in entries:
        groups.setdefault((entry["package"], entry["path"]), []).append(entry)
    return groups


def _outcomes(pieces: Sequence[Piece], out: Path, known: Groups, jobs: int) -> Iterator[Outcome]:
    tasks = ((piece, known.get(_key(piece), [])) for piece in pieces)
    work = partial(_outcome, out)
    if jobs == 1:
        yield from map(work, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(pieces)), _start_worker) as pool:
        yield from pool.imap(work, list(tasks))


def _start_worker() -> None:
    """Ignore Ctrl-C, which the parent handles by ending its workers; these remove their temporary files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    torch.set_num_threads(1)


def _outcome(out: Path, task: tuple[Piece, list[Entry]]) -> Outcome:
    piece, old = task
    try:
        stamp = _stamp(piece.path)
    except OSError as error:  # such as a link to nothing among stems
        return Outcome(piece, [], from_os_error(error))
    if old and all((out / e["file"]).is_file() for e in old) and stamp in (old[0].get("stamp"), ""):
        return Outcome(piece, [{**entry, **_about(piece)} for entry in old])
    try:
        segments = _segments(piece.path)
    except VampError as error:
        return Outcome(piece, [], error)
    digest = hashlib.sha256("\0".join(_key(piece)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    entries = []
    for i, (start, samples) in enumerate(segments):
        name = f"{digest}-{i:03}.safetensors"
        save_tensors({"samples": torch.from_numpy(samples)}, out / name)
        entries.append({"file": name, **_sizes(len(samples), start), **_about(piece), "stamp": stamp})
    return Outcome(piece, entries)


def _sizes(n_samples: int, start: int) -> Entry:
    seconds, start_s = (round(n / SAMPLE_RATE, 3) for n in (n_samples, start))
    return {"n_samples": n_samples, "seconds": seconds, "sample_rate": SAMPLE_RATE, "start_s": start_s}


def _about(piece: Piece) -> Entry:
    fields = ("title", "author", "licence", "package", "split")
    return {"path": piece.name, **{name: getattr(piece, name) for name in fields}}


def _stamp(path: Path) -> str:
    """Return sizes and times of a source; empty if it is gone, so that its segments are kept."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return " ".join(f"{f.stat().st_size}@{f.stat().st_mtime_ns}" for f in files)


def _segments(path: Path) -> list[tuple[int, npt.NDArray[np.int16]]]:
    """Return the segments of a source: first sample, and int16 (n_samples,)."""
    mono = read_mono(path, SAMPLE_RATE)
    mono = mono * np.float32(_gain(mono))
    ranges = sound_ranges(mono, SAMPLE_RATE)
    if not ranges:
        raise InputError(f"{path} holds no {SHORTEST_S} s of sound", "leave it out")
    integers = np.round(mono * 32768).clip(-32768, 32767).astype(np.int16)
    return [(start, integers[start:end].copy()) for start, end in ranges]


def _gain(mono: Mono) -> float:
    """Return the gain to -24 LUFS; a long piece is measured in excerpts, since measuring is slow."""
    n = round(_MEASURED_S * SAMPLE_RATE / _N_EXCERPTS)
    if len(mono) <= n * _N_EXCERPTS:
        return level_gain(mono[None], SAMPLE_RATE)
    starts = np.linspace(0, len(mono) - n, _N_EXCERPTS).astype(int)
    gain = level_gain(np.concatenate([mono[start : start + n] for start in starts])[None], SAMPLE_RATE)
    return min(gain, 1 / max(1e-9, float(np.abs(mono).max())))


def sound_ranges(mono: Mono, sample_rate: int) -> list[tuple[int, int]]:
    """Return the ranges of sound between long silences: samples [start, end), in order and disjoint.

    Silence is measured in blocks of 50 ms, by the level constants of this module.

    Args:
        mono: float32 (n_samples,), at -24 LUFS.
        sample_rate: in Hz.
    """
    block = round(_BLOCK_S * sample_rate)
    padded = np.pad(mono, (0, -len(mono) % block)).reshape(-1, block)
    loud = np.flatnonzero((padded.astype(np.float64) ** 2).mean(1) > 10 ** (SILENCE_DB / 10))
    stretches = np.split(loud, np.flatnonzero(np.diff(loud) > SILENCE_S / _BLOCK_S) + 1)
    kept = round(KEPT_S * sample_rate)
    ranges = [
        (max(0, int(s[0]) * block - kept), min(len(mono), int(s[-1] + 1) * block + kept)) for s in stretches if len(s)
    ]
    return [(start, end) for start, end in ranges if end - start >= SHORTEST_S * sample_rate]


def read_mono(path: Path, sample_rate: int) -> Mono:
    """Read a sound file, a tracker module or a folder of stems: float32 (n_samples,).

    Raises:
        InputError: it is missing or unreadable; of a folder: it holds no sound.
    """
    if path.is_dir():
        stems = [read_mono(stem, sample_rate) for stem in sounds_below(path)]
        if not stems:
            raise InputError(f"the folder {path} holds no stems", "it should hold sound files, which are summed")
        longest = max(map(len, stems))
        padded = [np.pad(stem, (0, longest - len(stem))) for stem in stems]
        return np.asarray(np.sum(padded, axis=0), dtype=np.float32)
    if path.suffix.lower() in MODULES and path.exists():
        return _render(path, sample_rate)
    waveform = read(path)
    mixed = waveform.samples.mean(axis=0, keepdims=True)
    return np.asarray(resample(mixed, waveform.sample_rate, sample_rate)[0])


def _render(path: Path, sample_rate: int) -> Mono:
    if shutil.which("openmpt123") is None:
        raise InputError(
            f"cannot play the module {path}", "openmpt123 can: apt-get install openmpt123, or leave it out"
        )
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "module.wav"
        options = ["--quiet", "--batch", "--samplerate", str(sample_rate), "--output", str(sound)]
        command = ["openmpt123", *options, "--", str(path)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_RENDER_S, errors="replace")
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"{path} does not end within {_LONGEST_RENDER_S} s of rendering", "leave it out"
            ) from error
        if ran.returncode or not sound.is_file():
            reason = (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"openmpt123 cannot play {path}: {reason}", "is it a whole tracker module?")
        return read_mono(sound, sample_rate)
