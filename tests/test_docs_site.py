"""The documentation site: links of the repository, the page of commands, screenshots."""

import re
from pathlib import Path

import pytest
from scripts import commands_page, line_counts, screenshots

from test_layers import LAYERS
from vampcli.cli.main import app
from vampcli.errors import ExitCode

ROOT = Path(__file__).parents[1]
COMMANDS = commands_page.page(app)
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["inpaint", "models pull", "mask vamp", "eval run", "train codec"])
def test_every_command_has_a_section(name: str) -> None:
    assert f"\n## vamp {name}\n" in COMMANDS


def test_options_come_with_help_and_default() -> None:
    assert re.search(r"\| `--fine-steps N` \| .+ \[default: 2\] \|", COMMANDS)


def test_shared_options_are_named_once() -> None:
    section = COMMANDS.partition("## vamp mask vamp\n")[2].partition("\n## ")[0]
    assert "those of [`vamp vamp`](#vamp-vamp)" in section
    assert "| `" not in section


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == {*map(int, ExitCode), 141}


def test_screenshots_are_those_of_the_script() -> None:
    assert {path.stem for path in (ROOT / "docs/images").glob("*.svg")} == set(screenshots.SCREENS)


def test_pictures_fetch_nothing() -> None:
    for path in (ROOT / "docs/images").glob("*.svg"):
        assert "url(http" not in path.read_text(encoding="utf-8")


def test_line_counts_are_those_of_today() -> None:
    for path, n in line_counts.counts(ARCHITECTURE).items():
        assert n == pytest.approx(line_counts.n_lines(ROOT / path), rel=0.2), f"{path}: run scripts/line_counts.py"


def test_import_order_is_that_of_layers() -> None:
    order = re.search(r"^errors, .+$", ARCHITECTURE, re.MULTILINE)
    assert order is not None
    stated = [set(layer.split(", ")) for layer in order[0].split(" < ")]
    assert stated == [{name for name in layer if not name.startswith("__")} for layer in LAYERS][:-1]
