"""The README, the tutorial and the other pages: every `sh` and `python` block runs; links, targets and options exist.

A block `sh` or `python` is executed, `bash` is only shown. A `text` block after an `sh` block lists lines of its
output, where `…` stands for anything.
"""

import functools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from conftest import Ran, Vamp
from vampcli import api
from vampcli.cli.main import app

ROOT = Path(__file__).parents[1]
TOP = (
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "checkpoints/mini/README.md",
    "examples/README.md",
)
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in TOP} | {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/**/*.md"))
}
SHELL = f'vamp() {{ {shlex.quote(sys.executable)} -m vampcli "$@"; }}\n'
COMMAND = re.compile(r"(?:^|`)vamp (.*?)(?:`|\s+[#|<>].*|$)", re.MULTILINE)


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block of a page."""
    yield from re.findall(r"^```(\w+).*?\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


RUN = [page for page in PAGES if page in TOP[:1] or any(language == "sh" for language, _ in blocks(page))]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that the pages use, as the working folder; one model is loaded once."""
    for folder in ("examples", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "tests/data").mkdir(parents=True)
    (tmp_path / "tests/data/official").symlink_to(ROOT / "tests/data/official")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAMP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(api, "load", LOAD)
    return tmp_path


LOAD = functools.cache(api.load)


def in_shell(line: str) -> Ran:
    ran = subprocess.run(["bash", "-ec", f"set -o pipefail; {SHELL}{line}"], capture_output=True)
    return Ran(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))


@pytest.mark.parametrize("page", RUN)
def test_page_runs_from_top_to_bottom(vamp: Vamp, checkout: Path, page: str) -> None:
    output: list[str] = []
    for language, block in blocks(page):
        if language == "sh":
            output = []
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                plain = words[0] == "vamp" and not set(words) & {"|", "<", ">"}
                ran = vamp(*words[1:]) if plain else in_shell(line)
                assert ran.code == 0, f"{line}\n{ran.err}"
                output += f"{ran.out}\n{ran.err}".splitlines()
        elif language == "text" and page in RUN:
            for line in block.splitlines():
                pattern = ".*".join(map(re.escape, line.split("…")))
                assert any(re.fullmatch(pattern, printed) for printed in output), f"{line}\n{output}"
        elif language == "python":
            exec(compile(block, page, "exec"), {})
            assert (checkout / "take.wav").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([\w-]+)", PAGES[page], re.MULTILINE):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", PAGES[page]):
        built = link.endswith("reference/commands.md") or link == "commands.md"  # by scripts/docs_site.py
        assert link.startswith("https://") or built or ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_commands_have_these_options(page: str) -> None:
    text = PAGES[page].replace("\\\n", " ")
    for words in map(str.split, COMMAND.findall(text)):
        command: Any = typer.main.get_command(app)
        for word in words:
            if word.startswith("-") or word.isupper() or not hasattr(command, "commands"):
                break
            command = command.commands[word]
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert asked <= known | {"--help"}, words


def test_readme_is_short() -> None:
    assert PAGES["README.md"].count("\n") < 150
