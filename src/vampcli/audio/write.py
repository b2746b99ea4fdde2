"""Write sound files, block by block and without loss."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from vampcli.audio.formats import BITS, ClipMode, container, holds, native_path
from vampcli.audio.metadata import aiff, carry
from vampcli.audio.metadata.carry import Metadata
from vampcli.audio.waveform import Samples, Waveform
from vampcli.errors import InputError, UsageError
from vampcli.files import replacing

log = logging.getLogger(__name__)

_BLOCK = 2**16  # samples written at once; libsndfile's Vorbis crashes on minutes in one piece
_WAV_LIMIT = 2**32 - 4096  # bytes of samples in a RIFF file


def output_format(path: str | Path, subtype: str) -> tuple[str, str]:
    """Choose container and sample format of an output.

    Args:
        path: the output; its suffix selects the container.
        subtype: the sample format to keep, if the container can hold it.

    Returns:
        libsndfile's names of container and sample format.

    Raises:
        UsageError: the suffix is unknown.
    """
    kind = container(path)
    if sf.check_format(kind, subtype):
        return kind, subtype
    if kind in ("OGG", "MP3"):
        return kind, sf.default_subtype(kind)
    return kind, {"PCM_U8": "PCM_S8", "PCM_S8": "PCM_U8"}.get(subtype, "PCM_24")


def check_output(path: str | Path, waveform: Waveform, subtype: str = "") -> None:
    """Check, before any work, that an output can hold a waveform.

    Args:
        path: the output.
        waveform: audio of the same rate and number of channels.
        subtype: the sample format it must have; any if empty.

    Raises:
        UsageError: the suffix is unknown, or its container cannot hold the sample format.
        InputError: the container cannot hold the rate or the channels.
    """
    kind, stored = output_format(path, subtype or waveform.subtype)
    if subtype and subtype != stored:
        raise UsageError(f"{kind} holds no {subtype} samples", "leave --int16, --int24 or --float32 out, or write .wav")
    try:
        sf.SoundFile(io.BytesIO(), "w", waveform.sample_rate, waveform.n_channels, stored, format=kind).close()
    except sf.LibsndfileError as error:
        raise InputError(
            f"{kind} cannot hold {waveform.n_channels} channels at {waveform.sample_rate} Hz", "write .wav instead"
        ) from error


def write(
    path: str | Path,
    waveform: Waveform,
    subtype: str = "",
    overwrite: bool = False,
    loop: tuple[int, int] | None = None,
    comment: str = "",
    metadata: Metadata | None = None,
    clip_mode: ClipMode = "clamp",
) -> None:
    """Write a sound file whole or not at all; samples read from a file of that format stay bit-identical.

    Args:
        path: the suffix selects the container (wav, flac, ogg, mp3, aiff).
        waveform: the audio.
        subtype: sample format; empty = that of the waveform.
        overwrite: replace a file that exists.
        loop: samples [start, end) for samplers to repeat; MP3 files hold none.
        comment: a recipe for the file's metadata: in the place of the comment, or beside one of `metadata`.
        metadata: what the input carried beside its sound, on the time line of the waveform.
        clip_mode: `error` refuses samples beyond full scale in an integer format; otherwise they are clamped.

    Raises:
        InputError: the file exists, the folder is not writable or full, or samples are beyond full scale.
        UsageError: the suffix is unknown, or the loop is not within the audio.
    """
    path = Path(path)
    check_output(path, waveform)
    kind, stored = output_format(path, subtype or waveform.subtype)
    if loop and not 0 <= loop[0] < loop[1] <= waveform.n_samples:
        raise UsageError(f"a loop of samples {loop[0]} to {loop[1]} in {waveform.n_samples}", "start < end <= length")
    blocks = carry.prepare(kind, metadata, comment, loop, waveform.sample_rate)
    with replacing(path, overwrite) as temp:
        if not holds(stored, waveform.subtype):
            log.warning("%s cannot hold %s samples exactly: the kept part is rounded, too", stored, waveform.subtype)
        try:
            n_clamped = _encode(temp, waveform, kind, stored, carry.n_bytes(blocks))
        except (AssertionError, sf.LibsndfileError) as error:  # soundfile asserts that all was written
            raise OSError("the system took no more") from error
        if n_clamped:
            if clip_mode == "error":
                peak = 20 * np.log10(float(np.abs(waveform.samples).max()))
                raise InputError(
                    f"{path.name}: {n_clamped} samples lie beyond full scale, the peak at {peak:+.1f} dBFS",
                    "write --float32, or choose --clip-mode clamp or rescale",
                )
            were = "1 sample was" if n_clamped == 1 else f"{n_clamped} samples were"
            log.warning("%s: %s too loud for the format and clamped", path.name, were)
        carry.put(temp, kind, blocks)


def encode(waveform: Waveform, suffix: str) -> bytes:
    """Return a sound file for a browser, in memory and without metadata.

    Args:
        waveform: the audio; its samples are rounded and clamped as `write` does, FLAC files have 24 bits.
        suffix: selects the container: `.flac` or `.ogg`.

    Raises:
        InputError: the container cannot hold the rate or the channels.
    """
    name, target = f"sound{suffix}", io.BytesIO()
    check_output(name, waveform)
    kind, stored = output_format(name, waveform.subtype)
    # Browsers scale positive and negative samples of 16 bits unlike, those of 24 bits alike.
    _put(target, waveform, kind, "PCM_24" if kind == "FLAC" else stored, BITS.get(stored))
    return target.getvalue()


def _encode(path: Path, waveform: Waveform, kind: str, stored: str, n_added: int) -> int:
    """Write samples in a container and sample format, for a file that gets `n_added` bytes more.

    Returns:
        How many samples were clamped.

    Raises:
        OSError: the disk is full.
    """
    samples, bits = waveform.samples, BITS.get(stored)
    n_bytes = bits // 8 if bits else 8 if stored == "DOUBLE" else 4
    if kind == "WAV" and samples.size * n_bytes + n_added > _WAV_LIMIT:
        kind = "RF64"
    encoded = io.BytesIO()  # for the compressing encoders, which do not notice a full disk
    target = encoded if kind in ("OGG", "MP3") else native_path(path)
    n_clamped = _put(target, waveform, kind, stored, bits)
    if kind == "AIFF" and bits == 8 and samples.size % 2:
        aiff.correct_length(path, waveform.n_samples, waveform.n_channels)
    if target is encoded:
        path.write_bytes(encoded.getbuffer())
    elif sf.info(native_path(path)).frames != waveform.n_samples:
        raise OSError("the disk is full")
    return n_clamped


def _put(target: str | bytes | io.BytesIO, waveform: Waveform, kind: str, stored: str, bits: int | None) -> int:
    """Write samples block by block, rounded to a number of bits if there is one; return how many were clamped."""
    n_clamped = 0
    with sf.SoundFile(target, "w", waveform.sample_rate, waveform.n_channels, stored, format=kind) as file:
        for start in range(0, waveform.n_samples, _BLOCK):
            block = waveform.samples[:, start : start + _BLOCK]
            if bits is None:
                file.write(block.T)
            else:
                integers, n = _quantize(block, bits)
                file.write(integers.T)
                n_clamped += n
    return n_clamped


def _quantize(samples: Samples, bits: int) -> tuple[npt.NDArray[np.int32], int]:
    """Round to integers of `bits` bits, left-justified in 32; count the clamped ones."""
    scaled = np.round(samples.astype(np.float64) * 2.0 ** (bits - 1))
    low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    n_clamped = int(np.count_nonzero((scaled < low) | (scaled > high)))
    return (np.clip(scaled, low, high).astype(np.int64) << (32 - bits)).astype(np.int32), n_clamped
