"""Record commands of the documentation as pictures of a terminal (docs/images/*.svg), and pages as they look.

Pages need Playwright and Chromium.

python scripts/screenshots.py [NAME ...]
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
WIDTH = 100

SCREENS = {
    "help": ["vamp --help"],
    "vamp-help": ["vamp vamp --help"],
    "inpaint": [
        "vamp inpaint examples/island-dreams.wav --span 4-6 --seed 7 --steps 12 -o takes/ --overwrite",
        "vamp info takes/island-dreams.inpaint.7.wav --quick",
    ],
    "mask": ["vamp mask vamp examples/island-dreams.wav --amount 0.4 --seed 5 -v"],
}
"""Commands by the name of their picture."""

PAGES = {
    "page": "vamp inpaint examples/island-dreams.wav --span 4-6 --seed 7 -n 2 -o {folder}/ --page {folder}/takes.html",
}
"""Commands that write pages to listen on, by the name of their picture."""

EDITOR = "editor"
"""Name of the picture of `vamp ui`."""

# Without the fonts that rich's pictures fetch.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def run(command: str) -> str:
    """Return what a command prints on a terminal, colours included."""
    _, *arguments = shlex.split(command)
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH)}
    return subprocess.run(
        [sys.executable, "-c", "from vampcli.cli.main import app; app(prog_name='vamp')", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout


def picture(name: str, commands: list[str]) -> str:
    """Return the SVG of a terminal in which the commands have run."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    for command in commands:
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        console.print(Text.from_ansi(re.sub(r"[ \t]+$", "", run(command).strip(), flags=re.MULTILINE)))
    svg = console.export_svg(title="vamp", code_format=_FORMAT, unique_id=name)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def photograph(name: str, command: str) -> None:
    """Save a picture of a page that a command writes, with the first take chosen in the middle of its span."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        run(command.format(folder=folder))
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        window = browser.new_page(viewport={"width": 960, "height": 940})
        window.goto(Path(folder, "takes.html").as_uri())
        window.wait_for_selector("html[data-ready]")
        window.keyboard.press("1")
        window.evaluate("vampPage.player.seek(5)")
        window.eval_on_selector(
            "header .command code", f"(one) => one.textContent = {command.format(folder='takes')!r}"
        )
        window.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def photograph_editor() -> None:
    """Save a picture of the editor with two takes of a span, the first of them chosen."""
    from playwright.sync_api import sync_playwright

    serve = [sys.executable, "-m", "vampcli", "ui", "island-dreams.wav", "--no-browser"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        shutil.copy(ROOT / "examples/island-dreams.wav", folder)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        window = browser.new_page(viewport={"width": 1100, "height": 1000})
        window.set_default_timeout(120_000)
        with subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            window.goto(server.stdout.readline().strip())
            window.wait_for_selector("html[data-ready='recording 1']")
            window.click("#add")
            for field, value in {"#spans input >> nth=0": "4", "#spans input >> nth=1": "6"}.items():
                window.fill(field, value)
            for name, value in {"takes": "2", "seed": "7"}.items():
                window.fill(f'[name="{name}"]', value)
            window.click("#make")
            window.wait_for_selector("html[data-ready='recording 3']")
            window.wait_for_selector("text=score >> nth=1")
            window.click(".choose >> nth=1")
            window.click("#view", position={"x": 560, "y": 100})
            window.wait_for_timeout(500)
            window.evaluate("scrollTo(0, 0)")
            window.evaluate("document.querySelector('#folder').textContent = '/home/me/music'")
            window.screenshot(path=IMAGES / f"{EDITOR}.png")
            server.terminate()
        browser.close()


if __name__ == "__main__":
    for wanted in sys.argv[1:] or [*SCREENS, *PAGES, EDITOR]:
        if wanted == EDITOR:
            photograph_editor()
            continue
        if wanted in PAGES:
            photograph(wanted, PAGES[wanted])
            continue
        (IMAGES / f"{wanted}.svg").write_text(picture(wanted, SCREENS[wanted]) + "\n", encoding="utf-8")
