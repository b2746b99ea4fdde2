#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2): a FLAC of unknown length loses its end, though libsndfile decodes all of it.
#
# An encoder that writes to a pipe cannot go back to its header, and stores 0 as the number of samples, which the format
# allows. `frames` is then 2**63 - 1, so `soundfile.read` asks for an array of that size. Block by block the last, partial
# block raises an error instead of being returned: after every read soundfile seeks to where it is, and libsndfile refuses
# to seek behind the last sample. A file object that says it cannot seek is not sought in, and all samples arrive.
#
# Expected output:
#   length in the header 44100: read 44100
#   length in the header 0: read 44000, then LibsndfileError: Internal psf_fseek() failed.
#   length in the header 0, not seekable: read 44100
#   soundfile.read: ValueError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 numpy==2.2.6 2>/dev/null
cat > "$folder/show.py" <<'PY'
import io

import numpy as np
import soundfile as sf


def flac(total: int) -> io.BytesIO:
    file = io.BytesIO()
    sf.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 44100), 44100, "PCM_16", format="FLAC")
    content = bytearray(file.getvalue())
    content[21] &= 0xF0  # the upper 4 of 36 bits of STREAMINFO
    content[22:26] = total.to_bytes(4, "big")
    return io.BytesIO(bytes(content))


class NotSeekable(sf.SoundFile):
    def seekable(self) -> bool:
        return False


for total, kind, words in ((44100, sf.SoundFile, ""), (0, sf.SoundFile, ""), (0, NotSeekable, ", not seekable")):
    n, end = 0, ""
    with kind(flac(total)) as file:
        try:
            while len(block := file.read(1000)):
                n += len(block)
        except sf.LibsndfileError as error:
            end = f", then LibsndfileError: {error}"
    print(f"length in the header {total}{words}: read {n}{end}")
try:
    sf.read(flac(0))
except ValueError as error:
    print(f"soundfile.read: {type(error).__name__}")
PY
"$folder/venv/bin/python" "$folder/show.py" | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
