#!/usr/bin/env bash
# libsndfile 1.2.2 (in soundfile 0.13.1 and 0.14.0): an AIFF of 8-bit samples with one channel and an odd number of samples gets one sample more.
#
# The writer counts the byte that pads the SSND chunk to an even length as sound: both the COMM chunk and the size of SSND
# say one sample more than was written, and it reads back as 0. Even lengths, two channels and wider samples are right,
# and the reader is right too: a file made by hand with the pad byte, as the AIFF specification asks, has 1001 samples.
# A loop of an exact length no longer repeats exactly, and a check of the written length fails.
#
# Expected output:
#   wrote 1000 x 1 of PCM_S8, read 1000
#   wrote 1001 x 1 of PCM_S8, read 1002, the last is 0
#   wrote 1001 x 2 of PCM_S8, read 1001
#   wrote 1001 x 1 of PCM_24, read 1001
#   by hand, 1001 x 1 of 8 bits with a pad byte: read 1001
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.13.1 numpy==2.2.6 2>/dev/null
cat > "$folder/odd.py" <<'PY'
import io
import struct

import numpy as np
import soundfile as sf

for n, n_channels, subtype in ((1000, 1, "PCM_S8"), (1001, 1, "PCM_S8"), (1001, 2, "PCM_S8"), (1001, 1, "PCM_24")):
    file = io.BytesIO()
    sf.write(file, np.full((n, n_channels), 0.5), 44100, subtype, format="AIFF")
    file.seek(0)
    samples, _ = sf.read(file, dtype="int32", always_2d=True)
    more = f", the last is {samples[-1, 0]}" if len(samples) > n else ""
    print(f"wrote {n} x {n_channels} of {subtype}, read {len(samples)}{more}")

rate = bytes.fromhex("400eac44000000000000")
common = struct.pack(">4sIhIh", b"COMM", 18, 1, 1001, 8) + rate
sound = struct.pack(">4sI", b"SSND", 8 + 1001) + bytes(8) + b"\x40" * 1001 + b"\0"
body = b"AIFF" + common + sound
file = io.BytesIO(struct.pack(">4sI", b"FORM", len(body)) + body)
print(f"by hand, 1001 x 1 of 8 bits with a pad byte: read {sf.info(file).frames}")
PY
"$folder/venv/bin/python" "$folder/odd.py" | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
