#!/usr/bin/env bash
# descript-audio-codec 1.0.0: where a rate of the decoder is odd, `decode` returns fewer samples than frames * hop_length,
# and the whole model returns audio shorter than its input.
#
# The published 16 and 24 kHz models have the rates 8, 5, 4, 2, and lose 8 samples (0.3 and 0.5 ms) at the end of whatever
# they decode; the 44.1 kHz model has even rates only, and loses none. A transposed convolution of kernel 2r, stride r and
# padding ceil(r / 2) turns n samples into n * r for even r, but into n * r - 1 for odd r, and later layers multiply that.
# Weights do not matter: these are random. A program that joins chunks by counting hops gets a gap at each join.
#
# Expected output:
#   rates 8, 8, 4, 2: 10 frames of 512 -> 5120 samples of 5120
#   rates 8, 5, 4, 2: 10 frames of 320 -> 3192 samples of 3200
#   rates 8, 5, 4, 2: audio of 3200 samples -> 3192
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet descript-audio-codec==1.0.0 descript-audiotools==0.7.2 torch==2.14.1 torchaudio==2.11.1 2>/dev/null
cat > "$folder/odd_rates.py" <<'PY'
import torch
from dac import DAC

for rates in ([8, 8, 4, 2], [8, 5, 4, 2]):
    model = DAC(encoder_dim=8, encoder_rates=rates[::-1], decoder_dim=64, decoder_rates=rates, n_codebooks=2).eval()
    hop, named = model.hop_length, f"rates {', '.join(map(str, rates))}"
    with torch.no_grad():
        latents = model.encode(torch.zeros(1, 1, 10 * hop))[0]
        n = model.decode(latents).shape[-1]
        print(f"{named}: {latents.shape[-1]} frames of {hop} -> {n} samples of {10 * hop}")
    if rates[1] == 5:
        with torch.no_grad():
            n = model(torch.zeros(1, 1, 10 * hop), model.sample_rate)["audio"].shape[-1]
        print(f"{named}: audio of {10 * hop} samples -> {n}")
PY
"$folder/venv/bin/python" -W ignore "$folder/odd_rates.py" 2>/dev/null | tee "$folder/output"
sed -n '/^# Expected output:/,/^set /p' "$0" | sed -n 's/^#   //p' | diff - "$folder/output"
echo "as expected"
