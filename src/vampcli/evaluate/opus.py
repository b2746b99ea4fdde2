"""Encode and decode with Opus, by the programs of opus-tools, as a baseline for codecs."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vampcli.audio.read import read
from vampcli.audio.waveform import Waveform
from vampcli.audio.write import write
from vampcli.errors import InputError

_PROGRAMS = ("opusenc", "opusdec")


@dataclass(frozen=True)
class Opus:
    """A clip decoded from Opus.

    Attributes:
        samples: float32 (n_samples,), as long as the input.
        n_bytes: size of the file, with its container.
    """

    samples: Tensor
    n_bytes: int


def is_installed() -> bool:
    """Return whether both programs are installed."""
    return all(shutil.which(program) for program in _PROGRAMS)


def opus(samples: Tensor, sample_rate: int, kbits: float) -> Opus:
    """Encode and decode a clip.

    Args:
        samples: float32 (n_samples,).
        sample_rate: in Hz.
        kbits: nominal bit rate in kbit/s; Opus varies it, so that the file's may differ.

    Raises:
        InputError: a program is missing or fails.
    """
    if not is_installed():
        raise InputError("opusenc or opusdec is missing", "install opus-tools")
    with tempfile.TemporaryDirectory() as name:
        wav, packed, back = (Path(name) / file for file in ("in.wav", "a.opus", "out.wav"))
        write(wav, Waveform(samples.numpy()[None], sample_rate), "FLOAT")
        _run("opusenc", "--quiet", "--padding", "0", "--bitrate", f"{kbits:g}", str(wav), str(packed))
        _run("opusdec", "--quiet", "--float", "--rate", str(sample_rate), str(packed), str(back))
        n_bytes, decoded = packed.stat().st_size, torch.from_numpy(read(back).samples[0]).float()
    decoded = F.pad(decoded, (0, max(0, len(samples) - len(decoded))))[: len(samples)]
    return Opus(decoded, n_bytes)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{command[0]} fails: {done.stderr.strip()}", "update opus-tools")
