"""`vamp vamp`: vary a recording."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.annotations import Carries, Fills, Rivals, flag
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.job import Workflow
from vampcli.cli.names import option_of
from vampcli.cli.parse import parse_time
from vampcli.config import PromptConfig
from vampcli.errors import UsageError
from vampcli.tokens.presets import PRESETS

_KEEP, _EFFECT = "What is kept", "Effects"

if TYPE_CHECKING:
    from vampcli.tasks.base import Task

_EFFECTS = {"n_passes", "stretch", "pitch"}  # of a prompt; all its other fields say what is kept
_KEPT = [option_of(f.name) for f in fields(PromptConfig) if f.name not in _EFFECTS]


def _values(preset: str) -> dict[str, Any]:
    """What a preset says, by long option name."""
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", f"known: {' '.join(PRESETS)}")
    return {
        option_of(f.name): value
        for f in fields(PromptConfig)
        if (value := getattr(PRESETS[preset], f.name)) != f.default
    }


def vamp(
    *,
    where: o.Where,
    amount: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="One dial instead of all below: 0 keeps everything, 1 nothing.", rich_help_panel=_KEEP),
        Rivals("preset", *_KEPT),
    ] = None,
    preset: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A prompt by name, see `vamp presets`; options below change it.", rich_help_panel=_KEEP),
        Fills(_values),
    ] = None,
    period: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Keep a frame in so many; 1 all, 0 none.",
            show_default="7, if nothing else is named",
            rich_help_panel=_KEEP,
        ),
    ] = None,
    width: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Frames kept in a period.", show_default="1", rich_help_panel=_KEEP),
    ] = None,
    keep_codebooks: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Of the frames kept, the first codebooks alone.", show_default="all", rich_help_panel=_KEEP),
    ] = None,
    beats: Annotated[
        bool, flag("Keep what follows each beat.", panel=_KEEP), Carries("beat-width", "downbeats-only")
    ] = False,
    beat_width: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="How much of it, in ms.", show_default="75", rich_help_panel=_KEEP),
    ] = None,
    downbeats_only: Annotated[bool, flag("Of each bar, the first beat alone.", panel=_KEEP)] = False,
    onsets: Annotated[bool, flag("Keep what follows each onset.", panel=_KEEP), Carries("onset-width")] = False,
    onset_width: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="How much of it, in ms.", show_default="50", rich_help_panel=_KEEP),
    ] = None,
    intensity: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="Chance of each token to be made; the others are kept.", show_default="1", rich_help_panel=_KEEP
        ),
    ] = None,
    dropout: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Share of the kept frames that is made after all.", show_default="0", rich_help_panel=_KEEP),
    ] = None,
    mask: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="FILE.npy",
            help="Your own mask instead of all above: a NumPy array, True = make; see `vamp mask`.",
            rich_help_panel=_KEEP,
        ),
        Rivals("amount", "preset", "feedback", "stretch", *_KEPT),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Leave so much at the beginning as it is.", rich_help_panel=_KEEP)] = "0",
    suffix: Annotated[str, typer.Option(help="Leave so much at the end as it is.", rich_help_panel=_KEEP)] = "0",
    feedback: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Passes, each varying what the one before made.", show_default="1", rich_help_panel=_EFFECT),
    ] = None,
    stretch: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="So many times as long, at the same pitch.", show_default="1", rich_help_panel=_EFFECT),
    ] = None,
    pitch: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Shift what is kept by semitones.", show_default="0", rich_help_panel=_EFFECT),
    ] = None,
    common: o.Common,
) -> Workflow:
    """Vary recordings, or spans of them: some of the tokens are kept as a prompt, the others are made anew.

    Period, beats, onsets and chance add up: what one of them keeps is kept.

    Example: vamp vamp song.wav --amount 0.5 -n 4

    Example: vamp vamp song.wav --beats --period 13 --span bars:5-8
    """
    if common.difference and (stretch or 1) > 1:
        raise UsageError("--difference needs results as long as the input", "leave it out, or --stretch")
    places = where.places
    named: dict[str, Any] = {
        "period": period,
        "width": width,
        "n_kept_codebooks": keep_codebooks,
        "beats": beats or None,
        "beat_width_ms": beat_width,
        "downbeats_only": downbeats_only or None,
        "onsets": onsets or None,
        "onset_width_ms": onset_width,
        "intensity": intensity,
        "dropout": dropout,
        "n_passes": feedback,
        "stretch": stretch,
        "pitch": pitch,
    }
    named = {key: value for key, value in named.items() if value is not None}
    if amount is not None and (preset is not None or named.keys() - _EFFECTS):
        raise UsageError("--amount stands for all that says what is kept", "leave it out, or --preset and the others")
    if mask is not None and (amount is not None or preset is not None or named.keys() - {"pitch"}):
        raise UsageError("--mask says all of what is kept", "leave it out, or --amount, --feedback and the others")
    prompt = PromptConfig(**named)
    ends_s = parse_time(prefix), parse_time(suffix)

    def request() -> Task:
        from vampcli.tasks.vamp import Vamp
        from vampcli.tokens import mask_file

        own = None if mask is None else mask_file.named(mask)
        return Vamp(prompt, places, *ends_s, amount=amount, own=own)

    return AudioWorkflow("vamp", common, request)
