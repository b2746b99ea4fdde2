"""The state of a window: its recording, the runs that were asked for, and their takes, which are files."""

from __future__ import annotations

import asyncio
import itertools
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vampcli.errors import InputError, VampError
from vampcli.files import replacing
from vampcli.page.tracks import measure
from vampcli.recipe.recipe import Recipe
from vampcli.ui.order import Made, Orders, Values
from vampcli.ui.sounds import Sound, decoded
from vampcli.ui.takes import TakeFile, find_takes
from vampcli.ui.worker import Run, Worker

_CLAIMED_S = 10.0  # a window that was just given out is not given out again, though it does not listen yet


class Session:
    """A window. All methods but `on_made` and `on_done` are called by the server.

    Attributes:
        id: in addresses.
        folder: of takes and uploads.
        root: see `Studio`.
        sound: the recording.
        problem: why it cannot be opened, and what cures that.
        has_ended: the server ends.
    """

    def __init__(self, session_id: str, folder: Path, orders: Orders, worker: Worker, root: Path) -> None:
        self.id, self.folder, self.orders, self.worker, self.root = session_id, folder, orders, worker, root
        self.sound: Sound | None = None
        self.problem: tuple[str, str] | None = None
        self.runs: list[Run] = []
        self.takes: dict[str, TakeFile] = {}
        self.has_ended = False
        self._ids = itertools.count(1)
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._claimed_s = time.monotonic()

    # What has changed

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set after every change."""
        listener = asyncio.get_running_loop(), asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener[1]
        finally:
            self._listeners.discard(listener)

    def changed(self) -> None:
        """Wake those that listen; from any thread."""
        for loop, event in tuple(self._listeners):
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    def end(self) -> None:
        """End the streams of events: the server ends."""
        self.has_ended = True
        self.changed()

    @property
    def is_free(self) -> bool:
        """Say whether no window shows it."""
        return not self._listeners and time.monotonic() - self._claimed_s > _CLAIMED_S

    def claim(self) -> None:
        """Note that a window will show it."""
        self._claimed_s = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Return all that the page shows."""
        sound, worker = self.sound, self.worker
        return {
            "model": {"state": worker.model, "error": worker.error},
            "problem": self.problem,
            "sound": sound
            and {
                "key": str(sound.source.path),
                "name": Path(sound.source.name).name,
                "rate": sound.clip.sample_rate,
                "channels": sound.clip.n_channels,
                "n_samples": sound.clip.n_samples,
                "lufs": vars(sound.source.recording).get("lufs"),
                "folder": str(sound.folder.absolute()),
            },
            "runs": [self._run_state(run) for run in self.runs],
            "takes": [take.state() for take in self.takes.values()],
        }

    def _run_state(self, run: Run) -> dict[str, Any]:
        names = ("id", "state", "step", "total", "remaining_s", "error", "notes")
        order = {"verb": run.order.verb, "n_takes": len(run.order.seeds), "command": run.order.command}
        return {name: getattr(run, name) for name in names} | order | {"ahead": self.worker.ahead(run)}

    # What the page asks for

    def show(self, sound: Sound) -> None:
        """Replace the recording; runs and takes of the one before leave the page."""
        for run in self.runs:
            run.cancel()
        self.sound, self.problem, self.runs, self.takes = sound, None, [], {}
        self.changed()

    def opened(self) -> Sound:
        """Return the recording.

        Raises:
            InputError: there is none.
        """
        if self.sound is None:
            raise InputError("no recording is open", "drop one on the page")
        return self.sound

    def ask(self, verb: str, values: Values, spans: list[str]) -> Run:
        """Plan takes and put them into the queue.

        Raises:
            VampError: an option or a span does not fit.
        """
        name = f"run{next(self._ids)}"
        (folder := self.folder / name).mkdir()
        run = Run(name, self.orders.order(verb, values, spans, self.opened().source, folder), self.on_made)
        return self._submit(run)

    def replay(self, take: TakeFile) -> Run:
        """Plan to make a take again from its recipe."""
        name = f"run{next(self._ids)}"
        (folder := self.folder / name).mkdir()
        path = take.kept or take.made.path
        return self._submit(Run(name, self.orders.replay(path, self.opened().source, folder), self.on_made))

    def _submit(self, run: Run) -> Run:
        run.on_change, run.on_done = self.changed, self.on_done
        self.runs.append(run)
        self.worker.submit(run)
        self.changed()
        return run

    def on_made(self, run: Run, made: Made) -> None:
        """Add a take."""
        if run not in self.runs:
            return  # another recording is open by now
        own = run.order.n_samples == self.opened().clip.n_samples and run.order.verb != "loop"
        group = "recording" if own else run.id
        take = TakeFile(self._new_id(), made, run.order.spans, run.order.n_samples, group, run.order.command, run)
        self.takes[take.id] = take

    def _new_id(self) -> str:
        return f"take{next(self._ids)}"

    def on_done(self, run: Run) -> None:
        """Measure the takes of a run, and their recording."""
        _ = self.opened().source.recording.lufs  # kept in the recording
        for take in tuple(self.takes.values()):
            if take.run is run and not take.facts:
                with suppress(VampError, OSError, ValueError):  # a take without figures is a take
                    take.facts = {"lufs": measure(decoded(take.made.path))} | run.order.measure(take.made)
                self.changed()

    def keep(self, take: TakeFile) -> Path:
        """Write a take beside the recording, as the command does.

        Raises:
            InputError: a file of this name exists, or the folder is not writable.
        """
        if take.kept is None:
            target = self.opened().folder / take.made.path.name
            with replacing(target) as temp:
                shutil.copyfile(take.made.path, temp)
            take.kept = target
            self.changed()
        return take.kept

    def history(self) -> list[tuple[Path, Recipe]]:
        """Find takes of the recording in the folder of kept ones, the latest first."""
        sound = self.opened()
        found = find_takes(sound.folder, sound.source.recording.source.sha256)
        shown = {take.kept for take in self.takes.values()}
        return [one for one in found if one[0] not in shown]

    def load(self, name: str) -> TakeFile:
        """Add a take of the history.

        Raises:
            InputError: there is none of this name.
        """
        for path, recipe in self.history():
            if path.name == name:
                own = recipe.n_samples == self.opened().clip.n_samples and recipe.command != "loop"
                take_id = self._new_id()
                made = Made(path, recipe.seed)
                command = shlex.join(["vamp", "replay", str(path)])
                take = TakeFile(
                    take_id, made, recipe.synthetic, recipe.n_samples, "recording" if own else take_id, command
                )
                take.kept = path
                self.takes[take_id] = take
                self.changed()
                return take
        raise InputError(f"{name} is no take of this recording", "choose one of the list")
