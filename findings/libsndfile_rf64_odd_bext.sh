#!/usr/bin/env bash
# libsndfile 1.2.2 (in soundfile 0.14.0): an RF64 file with a broadcast chunk of odd size before its data cannot be opened.
#
# A `bext` chunk ends in a coding history of any length, so odd sizes are common; a byte of padding follows, as in every
# RIFF chunk. In a RIFF file libsndfile skips that byte, in an RF64 file (EBU Tech 3306) it does not, and then finds no
# data. Even sizes are read in both.
#
# Expected output:
#   RIFF, bext of 602 bytes: 1000 samples
#   RIFF, bext of 603 bytes: 1000 samples
#   RF64, bext of 602 bytes: 1000 samples
#   RF64, bext of 603 bytes: Error in RF64 file. No 'data' chunk marker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.2.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import io
import struct

import soundfile as sf


def wav(kind: bytes, n_bext: int) -> io.BytesIO:
    sound = bytes(2000)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 44100, 88200, 2, 16)
    bext = struct.pack("<4sI", b"bext", n_bext) + bytes(n_bext + n_bext % 2)
    large = kind == b"RF64"
    data = struct.pack("<4sI", b"data", 0xFFFFFFFF if large else len(sound)) + sound
    n = 4 + (36 if large else 0) + len(form + bext + data)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, n, len(sound), 1000, 0) if large else b""
    return io.BytesIO(struct.pack("<4sI4s", kind, 0xFFFFFFFF if large else n, b"WAVE") + sizes + form + bext + data)


for kind in (b"RIFF", b"RF64"):
    for n_bext in (602, 603):
        try:
            found = f"{sf.info(wav(kind, n_bext)).frames} samples"
        except sf.LibsndfileError as error:
            found = error.error_string
        print(f"{kind.decode()}, bext of {n_bext} bytes: {found}")
PY
"$folder/venv/bin/python" "$folder/show.py" | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
