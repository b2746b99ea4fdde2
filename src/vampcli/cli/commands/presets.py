"""`vamp presets`: named prompts."""

from __future__ import annotations

from dataclasses import asdict, fields

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded
from vampcli.config import PromptConfig
from vampcli.tokens.presets import PRESETS, PURPOSES


@guarded
def presets(as_json: o.Json = False) -> None:
    """List the presets of `vamp vamp` with their settings and purposes."""
    console = Console()
    if as_json:
        for name, config in PRESETS.items():
            console.result({"preset": name, "purpose": PURPOSES[name], **asdict(config)})
    else:
        console.columns((), [(name, settings(config), PURPOSES[name]) for name, config in PRESETS.items()])


def settings(config: PromptConfig) -> str:
    """The options of a prompt that differ from the defaults."""
    words = []
    for field in fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            flag = "--" + field.name.replace("_", "-")
            words.append(flag if value is True else f"{flag} {value}")
    return " ".join(words)
