"""Make the pairs of sounds in `examples/pairs`: before and after each command, and a failure.

    python scripts/examples.py

Ogg Vorbis keeps them small; `vamp` writes WAV with the samples of the input.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from vampcli.audio.read import read
from vampcli.audio.waveform import Waveform
from vampcli.audio.write import write

ROOT = Path(__file__).parents[1]
PIECE = Path("examples/island-dreams.wav")  # recipes hold this path
FOLDER = Path("examples/pairs")
BEGINNING_S = 6.0

COMMANDS = {
    "inpaint.after": ("inpaint", PIECE, "--start", "4", "--end", "6", "--seed", "7"),
    "outpaint.after": ("outpaint", FOLDER / "outpaint.before.ogg", "--after", "4", "--seed", "7"),
    "loop.before": ("loop", PIECE, "--start", "2.5", "--end", "5.5", "--repeats", "3", "--seam", "0"),
    "loop.after": ("loop", PIECE, "--start", "2.5", "--end", "5.5", "--repeats", "3", "--seed", "7"),
    "vamp.after": ("vamp", PIECE, "--amount", "0.3", "--seed", "7"),
    "compress.after": ("compress", PIECE, "--bitrate", "2000", "--seed", "7"),
    "failure.after": ("inpaint", PIECE, "--start", "3", "--end", "7", "--memory", "off", "--seed", "7"),
}
"""Arguments of `vamp`, by the result's name; those without a file `.before` start from `original.ogg`."""


def main() -> None:
    """Write all pairs."""
    os.chdir(ROOT)
    FOLDER.mkdir(exist_ok=True)
    piece = read(PIECE)
    beginning = Waveform(piece.samples[:, : round(BEGINNING_S * piece.sample_rate)], piece.sample_rate)
    write(FOLDER / "original.ogg", piece, overwrite=True)
    write(FOLDER / "outpaint.before.ogg", beginning, overwrite=True)
    for name, arguments in COMMANDS.items():
        output = ("-o", FOLDER / f"{name}.ogg", "--overwrite", "--quiet")
        subprocess.run([sys.executable, "-m", "vampcli", *map(str, (*arguments, *output))], check=True)


if __name__ == "__main__":
    main()
