"""The size of descript-audio-codec with its dependencies, and its speed beside the codec of `vamp`.

python experiments/dac_package.py

`docs/installing.md` has the results.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import time
import warnings
from collections.abc import Callable

import torch

from vampcli.codec.config import DacConfig
from vampcli.codec.dac import DacCodec


def installed(name: str, found: dict[str, int]) -> dict[str, int]:
    """Add the bytes of a package and of all that it requires, where installed, by name."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key not in found:
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return found
        files = [file.locate() for file in package.files or []]
        found[key] = sum(file.stat().st_size for file in files if file.is_file())
        for requirement in package.requires or []:
            if "extra ==" not in requirement:
                installed(re.split(r"[^\w.-]", requirement, maxsplit=1)[0], found)
    return found


def least_s(work: Callable[[], object]) -> float:
    """Processor seconds, the best of three."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def main() -> None:
    own, theirs = installed("vampcli", {}), installed("descript-audio-codec", {})
    more = theirs.keys() - own.keys()
    sys.stdout.write(f"{len(more)} more packages, {sum(theirs[name] for name in more) / 1e6:.0f} MB\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dac
    torch.set_num_threads(1)
    codec, package = DacCodec(DacConfig()).eval(), dac.DAC().eval()
    noise = 0.1 * torch.randn(1, 1, 172 * 512)  # 2 s at 44.1 kHz
    with torch.inference_mode():
        latents, codes = package.encode(noise)[0], codec.encode(noise[0, 0])
        for name, encode, decode in (
            ("package", lambda: package.encode(noise), lambda: package.decode(latents)),
            ("vamp", lambda: codec.encode(noise[0, 0]), lambda: codec.decode(codes)),
        ):
            sys.stdout.write(f"{name}: encode {least_s(encode):.2f} s, decode {least_s(decode):.2f} s\n")


if __name__ == "__main__":
    main()
