"""Every command of the README runs, with the embedded model."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Ran

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [[line for line in block.splitlines() if line.startswith("vamp ")] for block in blocks("sh")]


SHELL = f'vamp() {{ {shlex.quote(sys.executable)} -m vampcli "$@"; }}\n'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the README talks about, as the working folder."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "tests/data").mkdir(parents=True)
    (tmp_path / "tests/data/official").symlink_to(ROOT / "tests/data/official")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAMP_HOME", str(tmp_path / "home"))
    return tmp_path


def test_there_are_commands() -> None:
    assert sum(map(len, COMMANDS)) >= 16


@pytest.mark.parametrize("block", [block for block in COMMANDS if block], ids=lambda block: block[0])
def test_commands_run(vamp: Callable[..., Ran], checkout: Path, block: list[str]) -> None:
    for command in block:  # a later one may need what an earlier one has made
        if "|" in command:
            subprocess.run(["bash", "-ec", f"set -o pipefail; {SHELL}{command}"], check=True)
            continue
        ran = vamp(*shlex.split(command)[1:])
        assert ran.code == 0, ran.err
        assert ran.out


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(checkout: Path, block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})
    assert (checkout / "take.wav").is_file()


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for block in blocks("sh"):
        for target in re.findall(r"^make ([\w-]+)", block, re.MULTILINE):
            assert f"\n{target}:" in makefile


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()
