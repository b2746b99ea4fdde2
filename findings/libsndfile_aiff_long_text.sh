#!/usr/bin/env bash
# libsndfile 1.2.2 (in soundfile 0.14.0): an AIFF with a text chunk of 8,190 bytes or more cannot be opened at all.
#
# Texts of AIFF chunks (NAME, AUTH, ANNO) may have any length. libsndfile reads them into its header buffer and gives up on
# the whole file, sound included, with a message that does not name the text. The same text as a chunk that libsndfile
# does not know is no trouble.
#
# Expected output:
#   ANNO of 8189 bytes: 100 samples
#   ANNO of 8190 bytes: Unspecified internal error.
#   NAME of 8190 bytes: Unspecified internal error.
#   xyzw of 8190 bytes: 100 samples
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.2.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import io
import struct

import soundfile as sf

plain = io.BytesIO()
sf.write(plain, [0.0] * 100, 44100, "PCM_16", format="AIFF")
head, chunks = plain.getvalue()[:12], plain.getvalue()[12:]
for name, n in ((b"ANNO", 8189), (b"ANNO", 8190), (b"NAME", 8190), (b"xyzw", 8190)):
    text = struct.pack(">4sI", name, n) + b"x" * n + bytes(n % 2)
    file = io.BytesIO(head[:4] + struct.pack(">I", 4 + len(text + chunks)) + head[8:] + text + chunks)
    try:
        found = f"{sf.info(file).frames} samples"
    except sf.LibsndfileError as error:
        found = error.error_string
    print(f"{name.decode()} of {n} bytes: {found}")
PY
"$folder/venv/bin/python" "$folder/show.py" | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
