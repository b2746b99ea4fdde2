"""Build the documentation site: MkDocs calls the two hooks below for every build.

The pages in `docs` are written for the repository, with links to files outside the folder. The site has copies of these
files, and pages made from the README, the changelog, the command line and others.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import commands_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

PAGES = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "explanation/architecture.md": "ARCHITECTURE.md",
    "reference/mini.md": "checkpoints/mini/README.md",
    "repository/CREDITS.md": "checkpoints/mini/CREDITS.md",
    "repository/examples.md": "examples/README.md",
}
"""Pages of the site that are files outside `docs`."""

_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)\s#]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and every file of the repository that a page links to."""
    from vampcli.cli.main import app

    for uri, path in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, "reference/commands.md", content=commands_page.page(app)))
    for path in sorted(_linked(files)):
        files.append(File.generated(config, site_uri(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the site."""
    uri = page.file.src_uri

    def on_site(match: re.Match[str]) -> str:
        return posixpath.relpath(site_uri(repository_path(uri, match[1])), posixpath.dirname(uri) or ".")

    return _LINK.sub(on_site, markdown)


def repository_path(uri: str, link: str) -> str:
    """Return the path in the repository of what a page links to."""
    path = PAGES.get(uri, f"docs/{uri}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def site_uri(path: str) -> str:
    """Return where the site has a file of the repository."""
    made = {path: uri for uri, path in PAGES.items()}
    return made.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}")


def _linked(files: Files) -> Iterator[str]:
    known = {file.src_uri for file in files}
    found = {
        repository_path(file.src_uri, link)
        for file in files.documentation_pages()
        for link in _LINK.findall(file.content_string)
    }
    return (path for path in found if site_uri(path) not in known and (ROOT / path).is_file())
