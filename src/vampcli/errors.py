"""Errors with a message, a cure and an exit code."""

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
    """An error that the user can cure.

    Attributes:
        message: the fact with its numbers, in one line.
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
    """A problem with a file: missing, unreadable, too short, not writable, existing."""

    exit_code = ExitCode.INPUT


def from_os_error(error: OSError) -> InputError:
    """Return an error of the operating system as one with a message, a cure and an exit code."""
    where = f"{error.filename}: " if error.filename else ""
    return InputError(f"{where}{error.strerror or error}", "check the name, the permissions and the room on the disk")


class ModelError(VampError):
    """A model that is missing or damaged, or does not fit its codec."""

    exit_code = ExitCode.MODEL


class DeviceError(VampError):
    """A device that is missing, or out of memory."""

    exit_code = ExitCode.DEVICE
