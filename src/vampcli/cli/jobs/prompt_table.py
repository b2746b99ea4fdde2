"""A prompt in numbers for `--json`, and as a table with a picture."""

from __future__ import annotations

import shutil
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vampcli.cli.jobs.estimate import count_work, estimate_seconds, made_with, spans_in_words, time_in_words
from vampcli.cli.jobs.job import Facts, Opened
from vampcli.cli.options import Common
from vampcli.tokens import bitrate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vampcli.checkpoints.folder import ModelMetadata
    from vampcli.tasks.cost import Work
    from vampcli.tasks.plan import Pass, Plan
    from vampcli.tokens.masks import Mask

_BLOCKS, _BAR = " ▁▂▃▄▅▆▇█", "█░"
_ASCII_BLOCKS, _ASCII_BAR = " .:-=+*#@", "#."
_BAR_LENGTH = 20
_N_LISTED = 4


def n_canvas_frames(metadata: ModelMetadata, plan: Plan, file_rate: int) -> int:
    """Return the length of a plan's canvas in frames of a model."""
    grid = metadata.codec.grid
    return grid.n_frames(grid.n_samples(plan.n_canvas_samples, file_rate))


def empty_mask(metadata: ModelMetadata, plan: Plan, file_rate: int) -> Mask:
    """Return the mask of a plan that generates nothing: bool (n_codebooks, n_frames), False."""
    import numpy as np

    return np.zeros((metadata.codec.grid.n_codebooks, n_canvas_frames(metadata, plan, file_rate)), bool)


def forecast(metadata: ModelMetadata, common: Common, opened: Opened, passes: list[Pass]) -> Facts:
    """Describe the prompt of a recording, without a model's weights; `n_forwards` and `seconds` are of all takes."""
    rate = opened.clip.sample_rate
    sampling, n_channels = made_with(opened, common)
    works = [count_work(metadata, sampling, one) for one in passes]
    n = common.takes * n_channels
    return {
        "duration_s": opened.plan.n_canvas_samples / rate,
        "n_frames": n_canvas_frames(metadata, opened.plan, rate),
        "frame_rate": metadata.codec.grid.frame_rate,
        "n_coarse": metadata.coarse.n_codebooks,
        "n_channels": n_channels,
        "takes": common.takes,
        "passes": [_pass(metadata, p, pair, rate, n_channels) for p, pair in zip(passes, works, strict=True)],
        "n_forwards": n * sum(part.n_forwards for pair in works for part in pair),
        "seconds": estimate_seconds(metadata, common, opened, passes, common.takes),
    }


def _pass(metadata: ModelMetadata, one: Pass, works: list[Work], file_rate: int, n_channels: int) -> Facts:
    """Describe one pass; kept tokens are counted in the frames that the spans touch."""
    from vampcli.tasks import cost

    grid, plan = metadata.codec.grid, one.plan
    inside = one.mask[:, plan.mask(1)[0]]
    n_kept = int((~inside).sum())
    spans_s = [[start / file_rate, end / file_rate] for start, end in plan.spans]
    length_s, end_s = sum(end - start for start, end in spans_s), plan.n_canvas_samples / file_rate
    found = cost.sampled_regions(one, metadata.context_frames)
    return {
        "name": one.name,
        "spans_s": spans_s,
        "n_frames": plan.n_hidden_frames,
        "kept": (~inside).mean(1).tolist(),
        "n_tokens": inside.size,
        "n_kept_tokens": n_kept,
        "bits_per_second": n_channels * n_kept * bitrate.bits_per_token(grid.codebook_size) / length_s,
        "regions_s": [[a * grid.frame_s, min(b * grid.frame_s, end_s)] for a, b in found],
        **{
            name: {"n_windows": part.n_windows, "n_forwards": part.n_forwards}
            for name, part in zip(("coarse", "fine"), works, strict=True)
        },
    }


def picture(kept: NDArray[np.floating], encoding: str) -> str:
    """Draw the kept share over time as a line of blocks, at most as wide as the terminal; 0 and 1 are exact.

    Args:
        kept: share of kept tokens in each frame, (n_frames,).
        encoding: of the output.
    """
    blocks = _encodable(_BLOCKS, _ASCII_BLOCKS, encoding)
    n, width = len(kept), min(len(kept), shutil.get_terminal_size().columns - 1)
    edges = [n * i // width for i in range(width + 1)]
    shares = [float(kept[a:b].mean()) for a, b in pairwise(edges)]
    most = len(blocks) - 1
    return "".join(blocks[round(s) * most if s in (0, 1) else min(max(round(s * most), 1), most - 1)] for s in shares)


def headline(opened: Opened, facts: Facts) -> str:
    """Return the answer in a line: `re-makes 4.00-6.00 s, about 7 s of work`."""
    if not facts["passes"]:
        return "no model is needed"
    n = facts["takes"]
    takes = f"{n} takes" if n > 1 else ""
    time = time_in_words(facts["seconds"])
    return ", ".join(filter(None, (f"re-makes {spans_in_words(opened)}", takes, time)))


def table(facts: Facts, pictures: list[str], encoding: str) -> str:
    """Format facts as a table, with a picture for each pass."""
    frames = f"{facts['n_frames']} frames, {facts['frame_rate']:.2f} a second"
    lines = [_row("length", f"{facts['duration_s']:.2f} s: {frames}")]
    for one, line in zip(facts["passes"], pictures, strict=True):
        lines += ["", f"{one['name']}:"] if one["name"] else []
        lines += [*_pass_rows(one, facts["n_coarse"], encoding), line]
    n, n_channels = facts["takes"], facts["n_channels"]
    of = f" for {n} takes" * (n > 1) + f" of {n_channels} channels" * (n_channels > 1)
    lines += [_row("work", f"at most {facts['n_forwards']} passes of the models{of}")]
    lines += [_row("time", time_in_words(facts["seconds"]) or "no estimate: only the CPU is measured")]
    return "\n".join(lines)


def _pass_rows(one: dict[str, Any], n_coarse: int, encoding: str) -> list[str]:
    bar = _encodable(_BAR, _ASCII_BAR, encoding)
    rows = [_row("made", f"{one['n_frames']} frames, {_format_ranges(one['spans_s'], 'span')}")]
    for i, share in enumerate(one["kept"]):
        length = round(share * _BAR_LENGTH)
        line = bar[0] * length + bar[1] * (_BAR_LENGTH - length)
        kind = "coarse" if i < n_coarse else "fine"
        rows += [_row("kept" if i == 0 else "", f"{i + 1:2} {kind:6} {line} {100 * share:5.1f} %")]
    share = one["n_kept_tokens"] / one["n_tokens"]
    kept = f"{one['n_kept_tokens']} of {one['n_tokens']} kept ({100 * share:.1f} %)"
    rows += [_row("tokens", f"{kept}, {one['bits_per_second']:.0f} bit/s")]
    rows += [_row("regions", _format_ranges(one["regions_s"], "region"))]
    return [*rows, _row("windows", f"{one['coarse']['n_windows']} coarse, {one['fine']['n_windows']} fine")]


def _row(name: str, text: str) -> str:
    return f"{name:8} {text}"


def _format_ranges(ranges_s: list[list[float]], name: str) -> str:
    listed = ", ".join(f"{start:.2f}-{end:.2f}" for start, end in ranges_s[:_N_LISTED])
    more = f" and {len(ranges_s) - _N_LISTED} more" if len(ranges_s) > _N_LISTED else ""
    return f"{len(ranges_s)} {name}{'s' * (len(ranges_s) != 1)}" + (f": {listed} s{more}" if ranges_s else "")


def _encodable(characters: str, plain: str, encoding: str) -> str:
    """Return `characters` if the encoding can write them, else `plain`."""
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return plain
    return characters
