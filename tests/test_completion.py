"""Shell completion in bash, zsh and fish: values of options, files elsewhere, no torch, and little CPU time."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from vampcli.tokens.presets import PRESETS

PROGRAM = """
import sys
sys.argv = ["vamp"]
from vampcli.__main__ import main
try:
    main()
finally:
    assert not {"torch", "librosa", "scipy", "soundfile"} & set(sys.modules)
"""
MOST_CPU_S = 1.5  # measured: 0.35; a busy machine takes longer


def ask(line: str, shell: str, tmp_path: Path, action: str = "get-args") -> subprocess.CompletedProcess[str]:
    """Ask as the script of a shell does, for the last word of a line; it is empty behind a blank."""
    words = line.split(" ")
    variables = {
        "_VAMP_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": action,
        "VAMP_HOME": str(tmp_path),
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | variables, capture_output=True, text=True, timeout=60
    )


def completed(line: str, shell: str, tmp_path: Path) -> list[str]:
    """The values that a shell would show; none where it completes files."""
    found = ask(line, shell, tmp_path)
    assert found.stderr == ""
    if shell == "bash":
        return found.stdout.split()
    if shell == "fish":
        assert ask(line, shell, tmp_path, "is-args").returncode == (0 if found.stdout.strip() else 1)
        return [text.split("\t")[0] for text in found.stdout.splitlines() if text]
    if found.stdout.strip() == "_files":
        return []
    return re.findall(r'^"([^"]*)"', found.stdout.partition("((")[2], re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_presets_and_models(shell: str, tmp_path: Path) -> None:
    assert completed("vamp vamp song.wav --preset ", shell, tmp_path) == list(PRESETS)
    assert completed("vamp vamp --preset small-v", shell, tmp_path) == ["small-variation", "small-variation-on-beat"]
    (tmp_path / "models/vampnet--opera").mkdir(parents=True)
    (tmp_path / "models/vampnet--opera/config.json").touch()
    assert completed("vamp inpaint -m ", shell, tmp_path) == ["vampnet/opera", "mini"]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("inpaint --sampler ", ["confidence", "halton"]),
        ("inpaint --snap ", ["beat", "onset"]),
        ("vamp --stereo ", ["mid", "channels"]),
        ("outpaint --clip-mode ", ["clamp", "rescale", "error"]),
        ("loop --dtype ", ["auto", "fp32", "bf16", "fp16"]),
        ("compress -d ", ["auto", "cpu", "cuda", "mps"]),
        ("inpaint --memory o", ["off"]),
        ("inpaint --bpm ", ["track"]),
        ("loop --seam ", ["auto"]),
        ("replay a.wav -m mi", ["mini"]),
        ("finetune -m ", ["mini"]),
        ("eval run -m ", ["mini"]),
        ("mask vamp --preset timbre", ["timbre-transfer"]),
        ("models pull dac-44", ["dac-44khz-8kbps", "dac-44khz-16kbps"]),
        ("models verify ", ["mini"]),
        ("inpaint --over", ["--overwrite"]),
    ],
)
def test_values(line: str, values: list[str], tmp_path: Path) -> None:
    assert completed(f"vamp {line}", "bash", tmp_path) == values


@pytest.mark.parametrize("line", ["inpaint ", "inpaint so", "vamp x.wav --mask ", "loop -o ", "info ", "train codec "])
def test_files_are_left_to_the_shell(line: str, tmp_path: Path) -> None:
    assert completed(f"vamp {line}", "zsh", tmp_path) == []


def test_adapters_follow_a_plus(tmp_path: Path) -> None:
    (tmp_path / "adapters/jazz").mkdir(parents=True)
    (tmp_path / "adapters/jazz/adapter.safetensors").touch()
    assert completed("vamp inpaint -m mini+", "bash", tmp_path) == ["mini+jazz"]


def test_little_cpu_time(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    completed("vamp inpaint -m ", "bash", tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_CPU_S
