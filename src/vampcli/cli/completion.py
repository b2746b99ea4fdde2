"""Values that the shell completes, as far as the type of an option does not list them. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vampcli.errors import VampError


def one_of(*values: str) -> Callable[[str], Sequence[str]]:
    """Return a completion of fixed values."""

    def complete(incomplete: str) -> Sequence[str]:
        return values

    return complete


def devices(incomplete: str) -> Sequence[str]:
    """Values of `--device`."""
    return ("auto", "cpu", "cuda", "mps")


def models(incomplete: str) -> Sequence[str]:
    """Names of installed models; behind a plus, with the names of adapters."""
    from vampcli.checkpoints import registry

    try:
        base, plus, _ = incomplete.rpartition("+")
        if plus:
            return [f"{base}+{name}" for name in registry.adapters()]
        return list(registry.installed())
    except (VampError, OSError):  # a shell shows no message
        return ()


def published(incomplete: str) -> Sequence[tuple[str, str]]:
    """Names of published models, with their licences."""
    from vampcli.checkpoints.published import published_models

    return [(model.name, model.licence) for model in published_models()]


def presets(incomplete: str) -> Sequence[tuple[str, str]]:
    """Names of presets, with their purposes."""
    from vampcli.tokens.presets import PURPOSES

    return list(PURPOSES.items())
