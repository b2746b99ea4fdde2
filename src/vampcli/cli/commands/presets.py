"""`vamp presets`: prompts with a name."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Annotated

import typer

from vampcli.cli.console import Console, guarded
from vampcli.cli.names import option_of
from vampcli.config import PromptConfig
from vampcli.tokens.presets import PRESETS, PURPOSES


@guarded
def presets(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a preset.")] = False,
) -> None:
    """List the presets of `vamp vamp`: their settings, and what they are for."""
    console = Console()
    name_width = max(map(len, PRESETS))
    settings_width = max(len(settings(config)) for config in PRESETS.values())
    for name, config in PRESETS.items():
        if as_json:
            console.result({"preset": name, "purpose": PURPOSES[name], **asdict(config)})
        else:
            console.result(f"{name:{name_width}}  {settings(config):{settings_width}}  {PURPOSES[name]}")


def settings(config: PromptConfig) -> str:
    """Say what to type for the same prompt: only what differs from the defaults."""
    words = []
    for field in fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            flag = "--" + option_of(field.name)
            words.append(flag if value is True else f"{flag} {value}")
    return " ".join(words)
