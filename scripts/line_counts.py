"""Write the line counts of ARCHITECTURE.md.

python scripts/line_counts.py
"""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "ARCHITECTURE.md"

_FILE = re.compile(r"^(\| \[.+?\]\((.+?\.py)\) \| )([\d,]+)", re.MULTILINE)
_SUM = re.compile(r"^(\| (?:\*\*sum\*\*|the path above) \| )([\d,]+)", re.MULTILINE)
_CODE = re.compile(r"^(\| code in it \| )([\d,]+)", re.MULTILINE)
_FOLDER = re.compile(r"^(\| (src/vampcli|tests) \| )([\d,]+)", re.MULTILINE)


def n_lines(path: Path) -> int:
    """Return the lines of a file, or of all Python files below a folder."""
    files = path.rglob("*.py") if path.is_dir() else [path]
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def n_code_lines(path: Path) -> int:
    """Return the lines of a file without docstrings, comments and blank lines."""
    source = path.read_text(encoding="utf-8")
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found = set()
    for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__):
        if token.type not in layout:
            found |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


def counts(text: str) -> dict[str, int]:
    """Return the counts that a page states, by path; those of files of the table first."""
    return {path: int(number.replace(",", "")) for _, path, number in [*_FILE.findall(text), *_FOLDER.findall(text)]}


def updated(text: str) -> str:
    """Return the page with the counts of today."""
    files = [ROOT / path for path in counts(text) if path.endswith(".py")]
    total, code = sum(map(n_lines, files)), sum(map(n_code_lines, files))
    text = _CODE.sub(lambda match: f"{match[1]}{code:,}", text)
    text = _FILE.sub(lambda match: f"{match[1]}{n_lines(ROOT / match[2]):,}", text)
    text = _FOLDER.sub(lambda match: f"{match[1]}{n_lines(ROOT / match[2]):,}", text)
    return _SUM.sub(lambda match: f"{match[1]}{total:,}", text)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
