"""Progress line of a training run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[dict[str, float]], None]


@contextmanager
def meter(step: int, n_steps: int, audio_s: float) -> Iterator[Report | None]:
    """Show loss, speed and time left on a terminal.

    Args:
        step: first step of the run.
        n_steps: its last step.
        audio_s: seconds of audio per step in all processes; 0 = unknown.

    Yields:
        A function to call with the figures of every step; None where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as Left
    from rich.text import Text

    class Speed(ProgressColumn):
        """Steps and seconds of audio per second."""

        def render(self, task: Task) -> Text:
            return Text(speed(task.finished_speed or task.speed or 0.0, audio_s))

    columns = (MofNCompleteColumn(), BarColumn(None), TextColumn("loss {task.fields[loss]:.4f}"), Speed(), Left())
    # Results go to the real stdout, not to the console of rich.
    with Progress(*columns, console=RichConsole(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=n_steps, completed=step, loss=float("nan"))
        smooth: list[float] = []

        def show(figures: dict[str, float]) -> None:
            smooth[:] = [0.95 * smooth[0] + 0.05 * figures["loss"] if smooth else figures["loss"]]
            bar.update(task, advance=1, loss=smooth[0])

        yield show


def speed(steps_per_s: float, audio_s: float) -> str:
    """Describe a speed in steps and in seconds of audio per second."""
    audio = f", {steps_per_s * audio_s:.1f} s of audio/s" if audio_s else ""
    return f"{steps_per_s:.2f} steps/s{audio}"
