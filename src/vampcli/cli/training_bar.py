"""The line that shows how a training run goes, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[dict[str, float]], None]


@contextmanager
def meter(step: int, n_steps: int, audio_s: float) -> Iterator[Report | None]:
    """Loss, speed and time left, drawn again at every step; nothing where nobody looks.

    Args:
        step: where the run begins.
        n_steps: where it ends.
        audio_s: seconds of audio that a step learns from, in all processes; 0 = unknown.

    Yields:
        What to call with the figures of every step, or None.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as Left
    from rich.text import Text

    class Speed(ProgressColumn):
        """Steps and seconds of audio in a second."""

        def render(self, task: Task) -> Text:
            return Text(speed(task.finished_speed or task.speed or 0.0, audio_s))

    columns = (MofNCompleteColumn(), BarColumn(None), TextColumn("loss {task.fields[loss]:.4f}"), Speed(), Left())
    # Results go to the real stdout: left to itself, rich would print them on its own console.
    with Progress(*columns, console=RichConsole(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=n_steps, completed=step, loss=float("nan"))
        smooth: list[float] = []

        def show(figures: dict[str, float]) -> None:
            smooth[:] = [0.95 * smooth[0] + 0.05 * figures["loss"] if smooth else figures["loss"]]
            bar.update(task, advance=1, loss=smooth[0])

        yield show


def speed(steps_per_s: float, audio_s: float) -> str:
    """Speed in words: steps a second, and how many seconds of audio that is."""
    heard = f", {steps_per_s * audio_s:.1f} s of audio/s" if audio_s else ""
    return f"{steps_per_s:.2f} steps/s{heard}"
