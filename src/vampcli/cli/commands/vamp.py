"""`vamp vamp`: vary a recording."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

from vampcli.cli import completion
from vampcli.cli import options as o
from vampcli.cli.config import Rule
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.excerpt import Preview
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.parse import parse_edit
from vampcli.config import PromptConfig
from vampcli.errors import UsageError
from vampcli.tasks.times import parse_length, to_seconds
from vampcli.tokens.presets import PRESETS

if TYPE_CHECKING:
    from vampcli.tasks.base import Task
    from vampcli.tasks.recording import Recording

_EFFECTS = ("feedback", "stretch", "pitch")
_KEPT = tuple(f.name.replace("_", "-") for f in fields(PromptConfig) if f.name not in _EFFECTS)


def _values(preset: str) -> dict[str, Any]:
    """The values of a preset by option."""
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", f"known: {' '.join(PRESETS)}")
    return {
        f.name.replace("_", "-"): value
        for f in fields(PromptConfig)
        if (value := getattr(PRESETS[preset], f.name)) != f.default
    }


def vamp(
    *,
    at: o.SpanOptions,
    amount: Annotated[
        float | None,
        o.value("Amount of change, 0 to 1, instead of these.", panel=o.PROMPT),
        Rule(excludes=("preset", *_KEPT)),
    ] = None,
    preset: Annotated[
        str | None,
        o.value("Named prompt, see `vamp presets`.", panel=o.PROMPT, metavar="NAME", autocompletion=completion.presets),
        Rule(fills=_values),
    ] = None,
    prompt: PromptConfig,
    mask: Annotated[
        str | None,
        o.value("Mask as a NumPy array, True = re-make.", panel=o.PROMPT, metavar="FILE.npy"),
        Rule(excludes=("amount", "preset", "feedback", "stretch", *_KEPT)),
    ] = None,
    prefix: Annotated[str, o.value("Keep this at the beginning.", panel=o.PROMPT, metavar="TIME")] = "0",
    edit: Annotated[str, o.value("Share of the changes; off: tokens alone.", panel=o.PROMPT, metavar="N|off")] = "1",
    suffix: Annotated[str, o.value("Keep this at the end.", panel=o.PROMPT, metavar="TIME")] = "0",
    preview: Preview = False,
    common: o.Common,
) -> Workflow:
    """Vary recordings or spans of them: keep some tokens as a prompt, generate the others.

    Example: vamp vamp song.wav --beats --period 13 --span bars:5-8
    """
    if common.difference and prompt.stretch > 1:
        raise UsageError("--difference needs results as long as the input", "leave it out, or --stretch")
    spans, ends = at.parse(), (parse_length(prefix), parse_length(suffix))

    def request(recording: Recording) -> Task:
        from vampcli.tasks.vamp import Vamp
        from vampcli.tokens import mask_file

        own = None if mask is None else mask_file.pin(mask)
        places = spans.of(recording, *ends)
        prefix_s, suffix_s = (to_seconds(time, recording, places.tempo) for time in ends)
        return Vamp(prompt, places, prefix_s, suffix_s, amount=amount, edit=parse_edit(edit), mask=own)

    return AudioWorkflow("vamp", common, request, is_preview=preview)
