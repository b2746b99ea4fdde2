"""HTML files from tracks: a page to listen on, and the index of several. They need no network and no other file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from vampcli.page.picture import HEIGHT, N_COLUMNS
from vampcli.page.tracks import AROUND_S, Encoder, Track, gains_db
from vampcli.recipe.recipe import Ranges, to_table

_SPECTRUM, _MARK = 160, 4  # heights of a spectrogram and of the bar above a span, in units of an outline
_SCRIPTS = ("chunks.js", "player.js", "keys.js", "abx.js", "page.js")
_MOST_SPANS = 100  # named and marked
_JSON_IN_HTML = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}  # `</script>` in a name must not end the script


class PageLink(NamedTuple):
    """A page in an index: its path from there as bytes, its title, and what it holds."""

    path: bytes
    title: str
    summary: str


@dataclass(frozen=True)
class Page:
    """A recording and its takes, ready to be written.

    Attributes:
        title: name of the recording.
        encoder: of the tracks.
        base: the recording.
        takes: of it.
        summary: what the takes are, in words.
        command: the command line that made them; empty if it is not known.
    """

    title: str
    encoder: Encoder
    base: Track
    takes: Sequence[Track]
    summary: str = ""
    command: str = ""

    def html(self) -> str:
        """Return the page as HTML."""
        tracks, clip = (self.base, *self.takes), self.encoder.base
        labels = ["0, original", *(f"{i}, {take.version.name}" for i, take in enumerate(self.takes, 1))]
        loops = self._loops_s()
        rows = (replace(self.base, version=replace(self.base.version, spans=self._spans)), *self.takes)
        data = {
            "rate": clip.sample_rate,
            "channels": clip.n_channels,
            "samples": clip.n_samples,
            "columns": min(N_COLUMNS, clip.n_samples),
            "exact": self.encoder.is_exact,
            "loops": list(loops.values()),
            "tracks": [
                {"label": label, "gain_db": gain_db, "segments": _sounds(track)}
                for label, gain_db, track in zip(labels, gains_db(tracks), tracks, strict=True)
            ],
        }
        script, style = "".join(map(_asset, _SCRIPTS)), _asset("page.css")
        options = [f'<option value="{i}">{_text(label)}</option>' for i, label in enumerate(labels)]
        second = min(1, len(self.takes))
        return _fill(
            "page.html",
            policy=_policy(style, script),
            style=style,
            script=script,
            title=_text(self.title),
            summary=_text(self.summary),
            command=_command(self.command),
            duration=f"{clip.duration_s:.3f}",
            loops=_options(["off", *loops], ["off", *range(len(loops))]),
            choices_a="".join(options),
            choices_b="".join(options[second:] + options[:second]),
            tracks="\n".join(self._row(i, track) for i, track in enumerate(rows)),
            data=json.dumps(data).translate(_JSON_IN_HTML),
        )

    @property
    def _spans(self) -> Ranges:
        """The spans of all takes."""
        return tuple(sorted({span for take in self.takes for span in take.version.spans})[:_MOST_SPANS])

    def _loops_s(self) -> dict[str, tuple[float, float]]:
        """Ranges to loop over, in seconds, by their labels: the spans of all takes, and everything."""
        rate, length_s = self.encoder.base.sample_rate, self.encoder.base.duration_s
        found = {
            f"{a / rate:.2f}-{b / rate:.2f} s": (max(0.0, a / rate - AROUND_S), min(length_s, b / rate + AROUND_S))
            for a, b in self._spans
        }
        return {**found, "everything": (0.0, length_s)}

    def _row(self, i: int, track: Track) -> str:
        version, rate = track.version, self.encoder.base.sample_rate
        facts = {} if track.lufs is None else {"loudness": f"{track.lufs:.1f} LUFS"}
        facts |= {name: x if isinstance(x, str) else f"{x:.3g}" for name, x in version.scores.items()}
        described = " · ".join(f"{name} {text}" for name, text in facts.items())
        spans = ", ".join(f"{a / rate:.2f} to {b / rate:.2f} s" for a, b in version.spans[:_MOST_SPANS])
        label = "Waveform and spectrogram" + (f"; made: {spans}" if spans else "")
        more = _command(version.command)
        if version.recipe:
            more += (
                f'<pre tabindex="0" aria-label="Recipe">{_text(json.dumps(to_table(version.recipe), indent=1))}</pre>'
            )
        details = f"<details><summary>{'Recipe' if version.recipe else 'Command'}</summary>{more}</details>"
        name = f"original: {version.name}" if i == 0 else version.name
        return "\n".join(
            [
                '<li class="track">',
                f'<div class="head"><button class="choose" aria-pressed="{str(i == 0).lower()}" disabled>'
                f"<kbd>{i}</kbd> {_text(name)}</button>",
                f'<span class="facts">{_text(described)}</span></div>',
                self._picture(i, track, label),
                details if more else "",
                "</li>",
            ]
        )

    def _picture(self, i: int, track: Track, label: str) -> str:
        """Return a track as SVG; the spectrogram of the recording is stored once and shown in every row."""
        width, n = min(N_COLUMNS, self.encoder.base.n_samples), self.encoder.base.n_samples
        top, height = HEIGHT + _MARK, HEIGHT + _MARK + _SPECTRUM
        spans = [(a * width / n, b * width / n) for a, b in track.version.spans[:_MOST_SPANS]]
        name, shared = ('id="base" ', "") if i == 0 else ("", '<use href="#base"/>')
        images = [
            f'<image {name}href="data:image/png;base64,{_base64(one.picture)}" '
            f'x="{one.columns[0]}" y="{top}" width="{one.columns[1] - one.columns[0]}" height="{_SPECTRUM}" '
            'preserveAspectRatio="none"/>'
            for one in track.segments
        ]
        marks = [
            f'<rect class="span" x="{a:.2f}" y="0" width="{b - a:.2f}" height="{HEIGHT}"/>'
            f'<rect class="mark" x="{a:.2f}" y="{HEIGHT}" width="{b - a:.2f}" height="{_MARK}"/>'
            f'<path class="edge" d="M{a:.2f} 0V{height}M{b:.2f} 0V{height}"/>'
            for a, b in spans
        ]
        return (
            f'<svg role="img" aria-label="{_text(label)}" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
            f"{shared}{''.join(images)}"
            f'<path class="wave" d="{track.path}"/>{"".join(marks)}'
            f'<line class="cursor" x1="0" x2="0" y1="0" y2="{height}"/></svg>'
        )


def index_html(title: str, pages: Iterable[PageLink], command: str = "") -> str:
    """Return an index of pages as HTML."""
    style = _asset("page.css")
    rows = [
        f'<li><a href="{quote_from_bytes(page.path)}">{_text(page.title)}</a> '
        f'<span class="facts">{_text(page.summary)}</span></li>'
        for page in pages
    ]
    return _fill(
        "index.html",
        policy=_policy(style),
        style=style,
        title=_text(title),
        command=_command(command, more=""),
        recordings="\n".join(rows),
    )


def _asset(name: str) -> str:
    return files("vampcli.page").joinpath("assets", name).read_text(encoding="utf-8")


def _fill(template: str, **values: str) -> str:
    """Fill the fields of a template, `{{name}}`, with HTML; what is filled in is not searched again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _asset(template))


def _policy(style: str, script: str = "") -> str:
    """Return a policy that lets a page load nothing, and run and apply no more than this."""

    def allowed(content: str) -> str:
        return f"'sha256-{_base64(hashlib.sha256(content.encode()).digest())}'" if content else "'none'"

    return (
        f"default-src 'none'; script-src {allowed(script)}; style-src {allowed(style)}; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )


def _text(text: str) -> str:
    """Escape a text for HTML; bytes in names that are no text are written as escapes."""
    return escape(text.encode("utf-8", "backslashreplace").decode())


def _command(command: str, more: str = '<button class="copy">Copy command</button>') -> str:
    return f'<p class="command"><code>{_text(command)}</code>{more}</p>' if command else ""


def _options(labels: Sequence[str], values: Sequence[Any]) -> str:
    pairs = zip(labels, values, strict=True)
    return "".join(f'<option value="{value}">{_text(label)}</option>' for label, value in pairs)


def _sounds(track: Track) -> list[Mapping[str, Any]]:
    return [{"start": one.start, "n": one.n_samples, "data": _base64(one.data)} for one in track.segments]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
