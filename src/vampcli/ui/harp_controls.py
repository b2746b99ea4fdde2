"""The controls that HARP shows, and requests made from their values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vampcli.errors import UsageError
from vampcli.ui.order import Option, Values

_TRACK = "Recording"
_HINT = "load the model again in HARP"


@dataclass(frozen=True)
class Control:
    """A control of HARP.

    Attributes:
        key: of the option that it sets, or `track`, `verb`, `spans`, `more`.
        type: as HARP names it.
        label: beside the control.
        info: help.
        value: default.
        limits: minimum, maximum and step of a slider.
        choices: of a dropdown.
    """

    key: str
    type: Literal["audio_track", "slider", "text_box", "dropdown", "toggle"]
    label: str
    info: str
    value: str | float | bool = ""
    limits: tuple[float, float, float] = (0, 1, 0.01)
    choices: tuple[str, ...] = ()

    def table(self) -> dict[str, Any]:
        """Return the description that HARP reads."""
        shared = {"type": self.type, "label": self.label, "info": self.info}
        if self.type == "audio_track":
            return {**shared, "required": True}
        if self.type == "slider":
            return {
                **shared,
                **dict(zip(("minimum", "maximum", "step"), self.limits, strict=True)),
                "value": self.value,
            }
        if self.type == "dropdown":  # HARP 3.0.1 reads choices as pairs
            return {**shared, "choices": [[one, one] for one in self.choices], "value": self.value}
        return {**shared, "value": self.value}

    def parse(self, value: Any) -> str:
        """Return a value as a word of a command line; a toggle that is off is empty.

        Raises:
            UsageError: it is no value of this control.
        """
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.type == "slider" and is_number and self.limits[0] <= round(value, 6) <= self.limits[1]:
            return f"{value:.6g}"  # HARP sends 0.4 as the 32-bit float next to it
        if self.type == "toggle" and isinstance(value, bool):
            return "yes" if value else ""
        if self.type == "dropdown" and value in self.choices:
            return str(value)
        if self.type == "text_box" and isinstance(value, str):
            return value.strip()
        raise UsageError(f"{self.label} is {value!r:.60}", _HINT)


CONTROLS = (
    Control("track", "audio_track", _TRACK, "The sound to work on."),
    Control(
        "verb",
        "dropdown",
        "Command",
        "inpaint re-makes spans, outpaint extends, loop makes a loop, vamp varies.",
        "inpaint",
        choices=("inpaint", "outpaint", "loop", "vamp"),
    ),
    Control("spans", "text_box", "Spans", "inpaint, loop, vamp: 4-6, 1:02.5-1:04, 25%-50%, bars:5-8; commas between."),
    Control("after", "text_box", "Add after", "outpaint: seconds or bars (4bars) to add at the end.", "4"),
    Control("before", "text_box", "Add before", "outpaint: the same at the beginning.", "0"),
    Control("repeats", "slider", "Repeats", "loop: number of copies.", 1, (1, 16, 1)),
    Control("variation", "slider", "Variation", "loop: change of each copy after the first.", 0),
    Control("find", "toggle", "Find loop points", "loop: near the span, or anywhere without one.", False),
    Control("amount", "slider", "Amount", "vamp: amount of change.", 0.5),
    Control("memory", "dropdown", "Memory", "Use similar places of the recording.", "auto", choices=("auto", "off")),
    Control(
        "stereo",
        "dropdown",
        "Stereo",
        "mid: generate the middle and widen it; channels: generate both.",
        "mid",
        choices=("mid", "channels"),
    ),
    Control("seed", "text_box", "Seed", "The same number makes the same take; empty: another one each time."),
    Control("more", "text_box", "More options", "As in a terminal, such as --steps 24 --temperature 0.9."),
)


def description(model: str) -> dict[str, Any]:
    """Return the model card, inputs and outputs that HARP shows."""
    return {
        "card": {
            "name": f"vamp ({model})",
            "description": "Re-make parts of a recording: fill spans, extend, loop, vary. What is kept stays exact.",
            "author": "vamp",
            "tags": ["inpainting", "continuation", "loop", "variation"],
        },
        "inputs": [control.table() for control in CONTROLS],
        "outputs": [
            {"type": "audio_track", "label": "Take", "info": "The take.", "required": True},
            {"type": "json", "label": "Spans", "info": "Labels of the generated spans."},
        ],
    }


@dataclass(frozen=True)
class HarpRequest:
    """A request for a take.

    Attributes:
        track: path of the upload.
        verb: the command.
        values: of its options.
        spans: as typed.
    """

    track: str
    verb: str
    values: Values
    spans: list[str]


def parse_request(data: Sequence[Any], schema: Mapping[str, Sequence[Option]]) -> HarpRequest:
    """Parse the values of all controls.

    Args:
        data: in the order of `CONTROLS`.
        schema: options of each command; a control without an option of the command is left out.

    Raises:
        UsageError: a value does not fit its control, or there is no such option.
    """
    if len(data) != len(CONTROLS):
        raise UsageError(f"{len(data)} values are sent for {len(CONTROLS)} controls", _HINT)
    track = data[0].get("path") if isinstance(data[0], dict) else None
    if not isinstance(track, str):
        raise UsageError("no recording is sent", f"put one on the track {_TRACK}")
    words = {one.key: one.parse(value) for one, value in zip(CONTROLS[1:], data[1:], strict=True)}
    verb, spans, more = (words.pop(key) for key in ("verb", "spans", "more"))
    options = {one.key: one for one in schema[verb]}
    typed = _parse_more(more, options)
    excluded = {other for key in typed for other in options[key].excludes} | {
        key for key, option in options.items() if set(option.excludes) & set(typed)
    }
    values: dict[str, str | bool] = {
        key: True if options[key].kind == "flag" else word
        for key, word in words.items()
        if word and key in options and key not in excluded
    }
    named = [] if verb == "outpaint" else re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", spans))
    return HarpRequest(track, verb, values | typed, [span for span in named if span])


def _parse_more(text: str, options: Mapping[str, Option]) -> dict[str, str | bool]:
    """Parse options as typed in a terminal.

    Raises:
        UsageError: there is no such option here, or one has no value.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"More options: {error}", "close the quotation mark") from error
    values: dict[str, str | bool] = {}
    while words:
        word = words.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or key not in options or key == "takes":
            raise UsageError(f"More options: {word!r} is no option here", f"known: --{', --'.join(options)}")
        if options[key].kind == "flag":
            values[key] = True
        elif equals or words:
            values[key] = value if equals else words.pop(0)
        else:
            raise UsageError(f"More options: --{key} has no value", f"such as --{key}=1")
    return values
