"""The manual page: complete, and valid roff."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer

from vampcli.cli.main import app

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import commands_page  # isort: skip
import man_page  # isort: skip


def test_manual_page_names_every_option() -> None:
    page = man_page.page(app)
    assert page.isascii()
    macros = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert macros == {".TH", ".SH", ".SS", ".TP", ".B", ".I", ".PP", ".EX", ".EE"}  # text begins no macro
    plain = page.replace("\\-", "-")
    group: Any = typer.main.get_command(app)
    for path, command in commands_page.walk(group, ("vamp",)):
        assert len(path) == 1 or f".SS {' '.join(path)}\n" in plain
        names = [name for name in commands_page.options(command) if name.startswith("-")]
        assert [name for name in names if not re.search(rf"\\fB.*{name}\b", plain)] == []


def test_text_is_escaped() -> None:
    assert man_page.roff(".a -b \\c …") == "\\&.a \\-b \\ec ..."
    if shutil.which("mandoc"):
        page = man_page.page(app)
        ran = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=page, capture_output=True, text=True)
        assert [line for line in ran.stdout.splitlines() if "missing date" not in line] == []
