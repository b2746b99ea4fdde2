"""Orders of the editor: options of a form become a command line, and that the workflow of its command.

So a take of the editor is the command's: both parse, plan and write in the same way.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from vampcli.cli.commands.inpaint import inpaint
from vampcli.cli.commands.loop import loop
from vampcli.cli.commands.outpaint import outpaint
from vampcli.cli.commands.replay import ReplayWorkflow
from vampcli.cli.commands.vamp import vamp
from vampcli.cli.config import options_of
from vampcli.cli.jobs.audio_job import AudioWorkflow
from vampcli.cli.jobs.inputs import find_jobs
from vampcli.cli.jobs.job import ModelRequest, Opened, Workflow, Written
from vampcli.cli.jobs.models import Models
from vampcli.cli.jobs.originals import base_of
from vampcli.cli.jobs.parser import Parser, kind_of
from vampcli.cli.jobs.pipes import Pipes
from vampcli.cli.options import ADVANCED, MEMORY, PROMPT, SPANS, Common
from vampcli.config import MOST_PLACES, RelativeTime
from vampcli.errors import InputError, UsageError
from vampcli.progress import Progress
from vampcli.recipe.embed import recipe_of
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.plan import ROUNDING_S
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.times import parse_time, to_seconds
from vampcli.ui.order import Made, Option, Side, Source, Values

if TYPE_CHECKING:
    from vampcli.audio.waveform import Waveform
    from vampcli.tasks.recording import Recording

_VERBS = (inpaint, outpaint, loop, vamp)
_BY_SPANS = ("start", "end", "span", "spans-from", "label")  # set on the waveform, or by files
_FILES = ("memory-from", "mask", "place", "places", "preview")  # of other recordings, or for another output
_TEMPO = ("bpm", "downbeat", "beats-per-bar")
_MAIN = ("takes", "seed", "steps", "temperature", "stereo")
_PANELS = (SPANS, MEMORY, PROMPT)
_SAMPLING = ("fine-steps", "mask-temperature", "top-p", "typical-mass", "sample-cutoff", "sampler", "refresh")
_WHOLE: dict[str, Any] = {
    "page": None,
    "plot": None,
    "labels": None,
    "sidecar": False,
    "only_generated": False,
    "difference": False,
    "overwrite": False,
    "skip_existing": False,
}
"""Options by which vamp.toml may ask for other outputs: the editor needs takes alone, and all of them."""


class TypedOrders:
    """The commands of the editor, parsed as on the command line: environment and vamp.toml count, too.

    Attributes:
        model: arguments of `vampcli.load`.
    """

    def __init__(self, model: ModelRequest) -> None:
        self.model, self._models, self._loading, self._planning = model, Models(), Lock(), Lock()

    def load(self) -> None:
        """See `Orders.load`."""
        with self._loading:
            self._models.load(self.model)

    def schema(self) -> dict[str, list[Option]]:
        """See `Orders.schema`."""
        return {name: _fields(one) for name, one in self._parser.commands.items()}

    def command(self, verb: str, values: Values, spans: list[str], source: Source) -> str:
        """See `Orders.command`."""
        words = self._words(verb, values, spans)
        self._parser.parse([verb, str(source.path), *words])
        return shlex.join(["vamp", verb, source.name, *words])

    def order(self, verb: str, values: Values, spans: list[str], source: Source, folder: Path) -> TypedOrder:
        """See `Orders.order`."""
        if values.get("seed") in (None, ""):  # so that the command shown makes the same takes
            values = {**values, "seed": MOST_PLACES * secrets.randbelow(1000)}
        words = self._words(verb, values, spans)
        workflow = self._parser.parse([verb, str(source.path), *words])
        return self._open(workflow, source, folder, shlex.join(["vamp", verb, source.name, *words]))

    def span_s(
        self, text: str, side: Side, span: tuple[float, float], values: Values, source: Source
    ) -> tuple[float, float]:
        """See `Orders.span_s`."""
        text, recording = text.strip(), source.recording
        if "-" in text or text.startswith(("bars:", "beats:")):
            start, end = self._places(text, values, source).seconds(recording)[0]
        elif side == "start":
            ((start, _),) = self._places(f"{text}-100%", values, source).seconds(recording)
            end = span[1] if span[1] > start else start + span[1] - span[0]
        elif isinstance(time := parse_time(text), RelativeTime) and time.unit in ("bars", "beats"):
            start, tempo = span[0], self._places("bars:1", values, source).tempo
            end = start + to_seconds(time, recording, tempo)
        else:
            ((_, end),) = self._places(f"0-{text}", values, source).seconds(recording)
            start = span[0]
        if not start < end:
            raise UsageError(f"the span is reversed: {start:g} to {end:g} s", "the start comes first")
        if start >= recording.clip.duration_s or (side == "end" and end > recording.clip.duration_s + ROUNDING_S):
            last = f"the recording lasts {recording.clip.duration_s:.2f} s"
            raise InputError(f"the span is outside: {start:g} to {end:g} s", last)
        return start, min(end, recording.clip.duration_s)

    def _places(self, span: str, values: Values, source: Source) -> SpanRequest:
        """Parse a span as the command does; the tempo is that of the form, of vamp.toml or of the file."""
        tempo = {name: values[name] for name in _TEMPO if name in values}
        workflow = self._parser.parse(["inpaint", str(source.path), *self._words("inpaint", tempo, [span])])
        assert isinstance(workflow, AudioWorkflow)  # places of other recordings are not asked for
        task = workflow.request(source.recording)
        assert isinstance(task, Inpaint)
        return task.at

    def base(self, recording: Recording, result: Path) -> Waveform:
        """See `Orders.base`."""
        recipe = recipe_of(result)
        if recipe is None:
            raise InputError(f"{result} holds no recipe", "choose a take that vamp has made")
        return base_of(recording, recipe, result)

    def replay(self, result: Path, source: Source, folder: Path) -> TypedOrder:
        """See `Orders.replay`."""
        common = Common(model=self.model.name, device=self.model.device)
        workflow = ReplayWorkflow("replay", common, (), str(source.path), None)
        return self._open(workflow, source, folder, shlex.join(["vamp", "replay", str(result)]), result)

    @cached_property
    def _parser(self) -> Parser:
        return Parser(_VERBS)

    def _words(self, verb: str, values: Values, spans: list[str]) -> list[str]:
        """Write values as words of a command line."""
        schema = self.schema()
        if verb not in schema:
            raise UsageError(f"there is no command {verb!r}", f"known: {', '.join(schema)}")
        known = {one.key: one for one in schema[verb]}
        words = [f"--span={span}" for span in spans]
        for key, value in values.items():
            if key not in known:
                raise UsageError(f"vamp {verb} has no option --{key} here", f"known: {', '.join(known)}")
            if value is True:
                words.append(f"--{key}")
            elif value not in (None, "", False):
                words.append(f"--{key}={value}")
        model = self.model
        for name, value, default in (
            ("model", model.name, Common.model),
            ("device", model.device, Common.device),
            ("dtype", model.dtype, Common.dtype),
        ):
            if value != default:
                words.append(f"--{name}={value}")
        return [*words, *["--exact"] * model.exact, *["--compile"] * model.compile]

    def _open(
        self, workflow: Workflow, source: Source, folder: Path, text: str, result: Path | None = None
    ) -> TypedOrder:
        common = replace(workflow.common, out=f"{folder}/", **_WHOLE)
        workflow = replace(workflow, common=common)
        if isinstance(workflow, AudioWorkflow):
            workflow = replace(workflow, is_preview=False)
        with self._planning:  # one at a time, for the memory that it takes
            jobs, _ = find_jobs(workflow, [str(result or source.path)], Pipes())
            metadata = self._models.metadata(jobs[0].model)
            if isinstance(workflow, AudioWorkflow):
                job = replace(jobs[0], name=source.name)
                opened = workflow.plan(job, metadata, source.recording)
            else:
                opened = workflow.open(jobs[0], metadata)
        return TypedOrder(text, workflow, opened, partial(self._models.load, jobs[0].model))


@dataclass(frozen=True)
class TypedOrder:
    """An `Order`: a workflow and its opened job."""

    command: str
    workflow: Workflow
    opened: Opened
    model: Any

    @property
    def verb(self) -> str:
        """See `Order.verb`."""
        return self.workflow.command

    @property
    def seeds(self) -> tuple[int, ...]:
        """See `Order.seeds`."""
        return self.opened.job.seeds

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """See `Order.spans`."""
        return tuple(self.opened.plan.spans) if self.opened.plan.calls else ()

    @property
    def n_samples(self) -> int:
        """See `Order.n_samples`."""
        return self.opened.plan.n_canvas_samples

    def make(self, progress: Progress) -> Iterator[Made | str]:
        """See `Order.make`."""
        for one in self.workflow.make(self.model, self.opened, progress):
            yield Made(one.path, one.seed, one.facts) if isinstance(one, Written) and one.path else str(one)

    def measure(self, made: Made) -> dict[str, Any]:
        """See `Order.measure`."""
        import torch

        from vampcli.audio.read import read
        from vampcli.cli.jobs.write import scorer
        from vampcli.tasks.take import Take

        recipe = recipe_of(made.path)
        assert recipe is not None  # it was just written
        base = base_of(self.opened.recording, recipe, made.path)
        nothing = torch.zeros(0, dtype=torch.bool)
        take = Take(read(made.path), nothing, nothing, made.seed, self.spans, base)
        scores = asdict(scorer(self.opened, self.verb == "loop")(take))
        return {name: x for name, x in scores.items() if x not in (None, "")}


def _fields(parsed: Any) -> list[Option]:
    """The options of a command that a form shows: those of the result, none that name a file."""
    found = []
    for key, (parameter, _, rule) in options_of(parsed).items():
        panel = parameter.rich_help_panel
        if key in (*_BY_SPANS, *_FILES) or not (key in (*_MAIN, *_SAMPLING) or panel in _PANELS):
            continue
        kind, choices = kind_of(parsed.callback, parameter.name)
        shown = parameter.show_default
        default = shown if isinstance(shown, str) else "" if parameter.default in (None, False) else parameter.default
        group = ADVANCED if key in _SAMPLING else panel or "Takes"
        found.append(Option(key, kind, parameter.help, group, str(default), choices, rule.excludes))
    return found
