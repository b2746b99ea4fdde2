"""What the server needs of the command line: the schema of its options, and orders made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from vampcli.audio.waveform import Waveform
from vampcli.progress import Progress
from vampcli.tasks.recording import Recording

Values = Mapping[str, Any]
"""Values of options by their long names."""


Side = Literal["start", "end"]
"""Of a span."""


@dataclass(frozen=True)
class Option:
    """An option of a command, for a form.

    Attributes:
        key: long name, without dashes.
        kind: of its value.
        help: in a few words.
        panel: group in the form.
        default: in words; empty = none.
        choices: of a choice.
        excludes: options that cannot be combined with it.
    """

    key: str
    kind: Literal["flag", "number", "integer", "text", "choice"]
    help: str
    panel: str
    default: str = ""
    choices: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """A take in a file.

    Attributes:
        path: of the file.
        seed: of the take.
        facts: about it, as for `--json`.
    """

    path: Path
    seed: int
    facts: Mapping[str, Any] = field(default_factory=dict)


class Order(Protocol):
    """A request for takes of one recording, planned and ready to run."""

    @property
    def command(self) -> str:
        """The shell command that makes the same takes."""

    @property
    def verb(self) -> str:
        """Name of the command."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the takes."""

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Sample ranges of the takes that are generated."""

    @property
    def n_samples(self) -> int:
        """Length of the takes."""

    def make(self, progress: Progress) -> Iterator[Made | str]:
        """Make the takes and write them; yield each as soon as it is written, and notes."""

    def measure(self, made: Made) -> dict[str, Any]:
        """Return the scores of a take."""


class Orders(Protocol):
    """Makes orders; one model makes the takes of all."""

    def load(self) -> None:
        """Load the model."""

    def schema(self) -> dict[str, list[Option]]:
        """Return the options of each command that a form may set."""

    def command(self, verb: str, values: Values, spans: list[str], source: Source) -> str:
        """Parse a request, see `order`, and return the shell command that makes it."""

    def order(self, verb: str, values: Values, spans: list[str], source: Source, folder: Path) -> Order:
        """Parse and plan a request.

        Args:
            verb: the command.
            values: of its options; those without a value are left out.
            spans: as typed.
            source: the recording.
            folder: of the files.

        Raises:
            VampError: an option or a span does not fit.
        """

    def span_s(
        self, text: str, side: Side, span: tuple[float, float], values: Values, source: Source
    ) -> tuple[float, float]:
        """Return a span in seconds after a time of it was typed.

        Args:
            text: a time for one side, a length for the end, or a whole span.
            side: that was typed.
            span: before, in seconds.
            values: of options, of which those of the tempo count.
            source: the recording.

        Raises:
            VampError: it is no time, or the span does not lie in the recording.
        """

    def base(self, recording: Recording, result: Path) -> Waveform:
        """Return a recording on the time line of a result: without its generated samples."""

    def replay(self, result: Path, source: Source, folder: Path) -> Order:
        """Plan to make a result again from the recipe in it."""


@dataclass(frozen=True)
class Source:
    """A recording that was opened or uploaded.

    Attributes:
        path: of the file.
        name: in recipes and commands.
        recording: the samples and their analysis.
    """

    path: Path
    name: str
    recording: Recording
