"""`vamp doctor`: check the installation, and print what a bug report needs."""

from __future__ import annotations

import getpass
import logging
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vampcli import __version__
from vampcli.cli import options as o
from vampcli.cli.console import Console, curable
from vampcli.cli.torch_loader import load_torch
from vampcli.errors import ExitCode, InputError, ModelError, VampError

log = logging.getLogger(__name__)

_PACKAGES = ("torch", "torchaudio", "numpy", "scipy", "soundfile", "av", "librosa", "soxr", "safetensors", "typer")
_RATE = 44100


@dataclass(frozen=True)
class Check:
    """Result of a check.

    Attributes:
        check: its name.
        ok: it has passed.
        text: what was found, or the fact of the error.
        hint: the cure of the error.
        exit_code: of the error; 0 = none.
    """

    check: str
    ok: bool
    text: str
    hint: str = ""
    exit_code: int = 0


def doctor(
    *, model: o.ModelName = "mini", device: o.Device = "auto", dtype: o.Dtype = "auto", as_json: o.Json = False
) -> None:
    """Check the installation, and print what to paste into a bug report.

    Versions, devices, the model, write access, audio formats, and a take of half a second. Paths below the home
    folder begin with ~, and the names of user and machine are left out.

    Example: vamp doctor
    """
    console, checks = Console(), []
    logging.getLogger("vampcli").setLevel(logging.ERROR)  # that lossy formats round is known here
    for name, check in (
        ("system", _system),
        ("packages", _packages),
        ("devices", lambda: _devices(device)),
        ("model", lambda: _model(model)),
        ("folders", _folders),
        ("formats", _formats),
        ("take", lambda: _take(model, device, dtype)),
    ):
        found = _run(name, check)
        checks.append(found)
        words = f"{'ok' if found.ok else 'FAILS':<6}{found.check:<10}{found.text}"
        console.result(asdict(found) if as_json else words + (f"\n{'':16}{found.hint}" if found.hint else ""))
    failed = [one for one in checks if not one.ok]
    console.note(f"{len(checks) - len(failed)} of {len(checks)} checks passed")
    if failed:
        raise SystemExit(failed[0].exit_code)


def impersonal(text: str) -> str:
    """Return a text without the home folder and the names of user and machine."""
    home = os.path.expanduser("~")
    if len(home) > 1:
        text = text.replace(home, "~")
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have none
        user = ""
    for name, word in ((user, "USER"), (platform.node(), "HOST")):
        if len(name) > 1:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", word, text)
    return text


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, impersonal(check()))
    except Exception as error:  # the other checks say more
        failure = curable(error)
        if failure is None:
            log.debug("%s", name, exc_info=error)
            failure = VampError(f"{type(error).__name__}: {error}", "report it with these lines")
        return Check(
            name, False, impersonal(failure.message), impersonal(failure.hint), int(failure.exit_code or ExitCode.BUG)
        )


def _system() -> str:
    machine = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"vamp {__version__}, Python {platform.python_version()}, {machine}, {sys.stdout.encoding}"


def _packages() -> str:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise InputError(f"missing: {', '.join(missing)}", "install vamp again: pip install --force-reinstall vampcli")
    return ", ".join(found)


def _devices(name: str) -> str:
    load_torch()
    import torch

    from vampcli.model.devices import pick_device

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [f"cpu ({os.cpu_count()} cores, {torch.get_num_threads()} threads)"]
    found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(n_gpus)]
    found += ["mps"] if torch.backends.mps.is_available() else []
    return f"{', '.join(found)}; {name} is {pick_device(name)}"


def _model(name: str) -> str:
    from vampcli.checkpoints import registry

    paths = registry.locate(name)
    return f"{name} in {paths.folder}, sha256 {registry.model_hash(paths)}"


def _folders() -> str:
    """Results go beside the input, here as in any folder; models into the user's; pipes through a temporary one."""
    from vampcli.checkpoints import registry

    home = registry.homes()[0]
    while not home.exists():
        home = home.parent
    found = []
    for what, folder in (("this one", Path.cwd()), ("models", home), ("temporary", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"vamp")
        except OSError as error:
            raise InputError(
                f"{folder} ({what}) cannot be written: {error.strerror}", "change the permissions, or free space"
            ) from error
        found.append(f"{folder} ({what})")
    return f"can be written: {', '.join(found)}"


def _formats() -> str:
    import numpy as np

    from vampcli.audio.formats import FORMATS
    from vampcli.audio.read import read
    from vampcli.audio.waveform import Waveform
    from vampcli.audio.write import write

    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(_RATE // 4) / _RATE).astype(np.float32)[None]
    tone = np.round(tone * 2**15) / np.float32(2**15)
    with tempfile.TemporaryDirectory(prefix="vamp-") as folder:
        for suffix in FORMATS:
            path = Path(folder, f"tone{suffix}")
            write(path, Waveform(tone, _RATE, "PCM_16"))
            samples = read(path).samples
            n = min(samples.shape[1], tone.shape[1])
            off = float(np.abs(samples[:, :n] - tone[:, :n]).max())
            if n < tone.shape[1] or off > (0.1 if suffix in (".ogg", ".mp3") else 0):
                raise InputError(f"{suffix} returns other samples: {n} of {tone.shape[1]}, off by {off:.2g}", "update")
    return f"written and read: {' '.join(FORMATS)}"


def _take(name: str, device: str, dtype: str) -> str:
    import numpy as np

    from vampcli.api import load
    from vampcli.audio.waveform import Waveform

    began_s = time.monotonic()
    model = load(name, device, dtype)
    loaded_s = time.monotonic()
    times = np.arange(2 * _RATE) / _RATE
    clip = Waveform(
        (0.25 * np.sin(2 * np.pi * 220 * times) * np.exp(-4 * (times % 0.5))).astype(np.float32)[None], _RATE
    )
    (take,) = model.inpaint(clip, (0.75, 1.25), seed=7, steps=4, memory=0.0)
    start, end = round(0.75 * _RATE), round(1.25 * _RATE)
    made, kept = take.audio.samples, np.r_[0:start, end : 2 * _RATE]
    if made.shape != clip.samples.shape or not np.array_equal(made[:, kept], clip.samples[:, kept]):
        raise VampError("samples outside the span have changed", "report it with these lines")
    if not np.isfinite(made).all():
        raise ModelError("the take holds NaN", "try --dtype fp32, or vamp models verify")
    done_s = time.monotonic()
    spent = f"made in {done_s - loaded_s:.1f} s, loaded in {loaded_s - began_s:.1f} s"
    return f"0.5 s {spent}, on {model.device} in {model.dtype_name}"
