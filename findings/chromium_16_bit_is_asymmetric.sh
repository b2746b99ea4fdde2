#!/usr/bin/env bash
# Chromium 156 (Debian, driven by playwright 1.65.2): decodeAudioData makes positive 16-bit samples larger by 32768 / 32767.
#
# Positive samples of 16-bit FLAC and WAV are divided by 32767, negative ones by 32768; 24-bit files are divided by 2^23 for
# both signs. So a 16-bit recording that is decoded in a page, and then compared with, subtracted from or rounded to its own
# samples, differs in half of them, by half a step of 16 bits at half of full scale, and cuts between a 16-bit and a 24-bit
# copy of the same sound are no longer exact. Written as 24 bits, the same samples are exact.
# The script needs Chromium on the PATH (apt-get install chromium).
#
# Expected output:
#   samples 16384 -16384 1 -1, in steps of 16 bits:
#   FLAC PCM_16: 16384.50000 -16384.00000 1.00003 -1.00000
#   FLAC PCM_24: 16384.00000 -16384.00000 1.00000 -1.00000
#   WAV PCM_16: 16384.50000 -16384.00000 1.00003 -1.00000
#   WAV PCM_24: 16384.00000 -16384.00000 1.00000 -1.00000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chromium=$(command -v chromium)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet playwright==1.65.2 soundfile==0.13.1 numpy==2.2.6 2>/dev/null
cat > "$folder/decode.py" <<'PY'
import base64
import io
import sys

import numpy as np
import soundfile as sf
from playwright.sync_api import sync_playwright

DECODE = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const sound = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(bytes.buffer);
  return Array.from(sound.getChannelData(0).slice(0, 4));
}"""
SAMPLES = np.array([16384, -16384, 1, -1], np.int32)

print("samples", *SAMPLES.tolist(), end=", in steps of 16 bits:\n")
with sync_playwright() as playwright:
    page = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"]).new_page()
    for format in ("FLAC", "WAV"):
        for subtype in ("PCM_16", "PCM_24"):
            file = io.BytesIO()
            sf.write(file, np.tile(SAMPLES * 2**16, 2000), 44100, subtype, format=format)
            found = page.evaluate(DECODE, base64.b64encode(file.getvalue()).decode())
            print(f"{format} {subtype}:", *(f"{value * 32768:.5f}" for value in found))
PY
"$folder/venv/bin/python" "$folder/decode.py" "$chromium" | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
