"""What can go wrong, said with its cure, and the exit code it ends in."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command `vamp`."""

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    MODEL = 4
    DEVICE = 5
    INTERRUPTED = 130


class VampError(Exception):
    """An error a user can do something about.

    Attributes:
        message: the fact, with its numbers, in one line.
        hint: the cure, in one line; may be empty.
    """

    exit_code = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VampError):
    """Options that cannot be parsed or contradict each other."""

    exit_code = ExitCode.USAGE


class InputError(VampError):
    """Anything about the files named: missing, unreadable, too short, not writable, in the way."""

    exit_code = ExitCode.INPUT


class ModelError(VampError):
    """A model that is missing, damaged, or does not fit its codec."""

    exit_code = ExitCode.MODEL


class DeviceError(VampError):
    """A device that is not there, or its memory."""

    exit_code = ExitCode.DEVICE
