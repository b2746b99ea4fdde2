"""Measurements, counts and the page of the benchmark."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import commands, growth, report, stages, takes, versus
from benchmarks.bench import ROOT, Bench
from benchmarks.limits import Need, Rates, count_flops
from benchmarks.machine import describe
from benchmarks.measuring import FAST, PLAIN, Agreement, Measurement, Ran, interleave, measurements, ratio, run
from benchmarks.ways import FastWay, Task

import vampcli
from conftest import Song
from vampcli.api import Model


def test_ways_take_turns() -> None:
    order: list[str] = []
    results = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 3
    assert {side: len(runs) for side, runs in results.items()} == {"a": 3, "b": 3}


def test_ratio_is_the_median_over_pairs() -> None:
    # the machine was ten times slower in the second pair, and in half of the third
    assert ratio([4.0, 40.0, 40.0], [2.0, 20.0, 2.0]) == 2.0


def test_time_and_memory_of_a_process() -> None:
    here = np.ones(50_000_000)  # 400 MB of ours, which are not its
    work = "x = b'1' * 300_000_000\nwhile __import__('time').process_time() < 0.3: pass\nprint('done')"
    ran = run([sys.executable, "-c", work])
    assert ran.seconds >= 0.25
    assert ran.cpu_seconds >= 0.3
    assert 300 < ran.peak_mb < here.nbytes / 1e6
    assert ran.said == "done\n"


def test_failed_process_shows_its_output() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_runs_add_up() -> None:
    both = Ran(1, 2, 300) + Ran(10, 20, 200)
    assert (both.seconds, both.cpu_seconds, both.peak_mb) == (11, 22, 300)


def test_limit_is_the_scarcer_rate() -> None:
    rates = Rates(flops=100, bytes=10)
    assert Need(flops=1000, bytes=20).limit_s(rates) == 10
    assert Need(flops=100, bytes=20).limit_s(rates) == 2


def test_products_and_convolutions_are_counted() -> None:
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    sound, kernel = torch.ones(1, 2, 10), torch.ones(4, 2, 3)
    assert count_flops(lambda: a @ b) == 2 * 3 * 5 * 7
    assert count_flops(lambda: torch.conv1d(sound, kernel)) == 2 * 8 * 4 * 2 * 3


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
def test_exponent_of_a_power(power: float) -> None:
    sizes = [1.0, 2, 4, 8, 16, 32]
    assert growth.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_exponent_ignores_start_up() -> None:
    sizes = [1.0, 2, 4, 8, 16, 32, 64, 128]
    assert growth.exponent(sizes, [10 + size for size in sizes]) > 0.7  # of all points, it were 0.5


def test_steps_are_timed_alone(tiny: Model, tiny_folder: Path, tmp_path: Path) -> None:
    task = _task(tiny_folder, tmp_path)
    n_drawn = []
    seconds = FastWay(task).step("fine", "vamp")
    assert 0 < seconds < 5
    tiny.vamp(task.clip, sampling=vampcli.SamplingConfig(steps=1), progress=lambda step, _: n_drawn.append(step))
    assert n_drawn == [1, 2, 3]  # what `step` reads its ticks from: a coarse step, then fine ones


def _task(model: Path, cache: Path) -> Task:
    return stages.task_of(Bench(cache, quick=True), str(model))


def test_stages_run_both_ways(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "peak_mb", lambda task, side, stage, verb: 100.0)
    found = stages.measure(Bench(tmp_path, n_runs=2, quick=True), str(tiny_folder))
    assert [one.what for one in found if one.side == FAST] == [
        "load",
        "encode 1 s",
        "coarse step, vamp 2 s",
        "coarse step, inpaint 0.4 of 2 s",
        "fine step, vamp 2 s",
        "fine step, inpaint 0.4 of 2 s",
        "decode 1 s",
        "write 1 s",
    ]
    assert all(len(one.seconds) == 2 and one.limit_s > 0 for one in found)
    assert len([one for one in found if one.side == PLAIN]) == 8


def test_takes_run_both_ways(tiny_folder: Path, tmp_path: Path) -> None:
    found = takes.measure(Bench(tmp_path, quick=True), str(tiny_folder))
    assert [(one.what, one.side) for one in found] == [
        (what, side) for what in ("vamp 2 s, 1 take", "inpaint 0.4 of 2 s, 1 take") for side in (FAST, PLAIN)
    ]
    assert all(len(one.seconds) == 1 and one.audio_s == 2 for one in found)


def test_commands_have_the_same_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def fake(command: list[str], environment: object = None) -> Ran:
        called.append(list(command))
        return Ran(1, 1, 100)

    monkeypatch.setattr(commands, "run", fake)
    found = commands.measure(Bench(tmp_path, n_runs=2, quick=True, extra=("--compile",)), "mini")
    assert {one.side for one in found} == {FAST, PLAIN, commands.IMPORT_TORCH, commands.ONE_BY_ONE}
    fast = [command for command in called if "vampcli" in command]
    plain = [command for command in called if "benchmarks.plain" in command]
    assert all("--compile" in command for command in fast)
    assert not any("--compile" in command for command in plain)
    same = [command for command in fast if command[4:] and not Path(command[4]).is_dir()]
    for command in plain:
        verb, options = command[3], command[6 : command.index("--model")]
        assert any(other[3] == verb and other[5 : other.index("--model")] == options for other in same), command


def test_versus_compares_two_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(command: list[str], environment: dict[str, str], fails: bool) -> Ran:
        assert fails == ("40" in command)
        is_other = environment["PYTHONPATH"] == str(tmp_path / "src")
        return Ran(6, 9, 300, "a note\ncoarse 6 fine 2 ") if is_other else Ran(2, 3, 200, "coarse 1.5 fine 1 ")

    monkeypatch.setattr(versus, "run", fake)
    rows = list(versus.measure(Bench(tmp_path, n_runs=2), "mini", tmp_path))
    assert ("vamp 10 s: CPU s", "9", "3", "3.00", "2") in rows
    assert ("inpaint 2 of 10 s: models, CPU s", "8", "2.5", "3.20", "2") in rows
    assert ("vamp 180s, 3 + 2 steps: peak MB", "300", "200", "1.50", "1") in rows


def test_model_seconds_of_a_command(tiny_folder: Path, song: Song, tmp_path: Path) -> None:
    script = (sys.executable, str(ROOT / "benchmarks/model_seconds.py"))
    arguments = ("inpaint", str(song("a.wav", 1.0)), "--start", "0.4", "--end", "0.6", "--steps", "2", "-q")
    ran = run([*script, *arguments, "-m", str(tiny_folder), "-o", str(tmp_path / "b.wav")])
    words = ran.said.split()
    assert words[-4::2] == ["coarse", "fine"]
    assert all(float(seconds) > 0 for seconds in words[-3::2])


def test_text_around_the_marks_stays() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.replace_between_marks(page, "new")
    assert once == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert report.replace_between_marks(once, "newer") == once.replace("new", "newer")


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END, f"{report.END}{report.BEGIN}"])
def test_page_without_marks(page: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        report.replace_between_marks(page, "new")


def test_our_page_has_marks() -> None:
    assert report.replace_between_marks((report.DOCS / report.PAGE).read_text(encoding="utf-8"), "new")


def test_report_of_raw_results(tmp_path: Path) -> None:
    own, out = Bench(tmp_path), tmp_path / "docs"
    slow, fast = Ran(6, 6, 500), Ran(2, 2, 400)
    own.save("commands", "tiny", measurements("tiny", "vamp 2 s", {FAST: [fast] * 3, PLAIN: [slow] * 3}, 2, "1 step"))
    own.save("stages", "tiny", [Measurement("tiny", "load", side, (0.5,), limit_s=0.1) for side in (FAST, PLAIN)])
    points = [growth.Point("tiny", axis, 2**i, 2**i, 100) for axis in (growth.CLIP, growth.FILES) for i in range(4)]
    own.save("growth", "tiny", points)
    own.save("same", "tiny", [Agreement("tiny", "fp32", "tokens", 1.0), Agreement("tiny", "bf16", "sound", None, 40.2)])
    page = report.write(own.raw_folder, out).read_text(encoding="utf-8")
    assert "| tiny | vamp 2 s (1 step) | 2 s | 6 s | 3.0 | 3 | 1 | 400 / 500 |" in page
    assert "| tiny | load | 500 ms | 500 ms | 1.0 | 1 | 5.0 / 5.0 |" in page
    assert "| files | **exponent** | **1.00** | **0.00** |" in page
    assert "| tiny | fp32 | tokens | identical |" in page
    assert "| tiny | bf16 | sound | 40 dB" in page
    assert describe("cpu").versions in page
    assert str(tmp_path) not in page
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert pictures == [f"performance-{name}-cpu.png" for name in ("commands-all", "growth-tiny", "stages-all")]
    assert all(f"({name})" in page for name in pictures)


def test_lengths_of_clips(tmp_path: Path) -> None:
    own = Bench(tmp_path)
    song = vampcli.read(ROOT / "examples/island-dreams.wav").samples
    assert vampcli.read(own.clip(12.5)).samples.shape == (2, round(12.5 * 44100))
    assert np.array_equal(vampcli.read(own.clip(12.5)).samples[:, 441000:], song[:, :110250])
    assert len({path.parent for path in own.folder(3, 1)}) == 1
    assert len(list(own.folder(3, 1)[0].parent.iterdir())) == 3


def test_benchmark_runs(tiny_folder: Path, tmp_path: Path, song: Song) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "same", "--models", str(tiny_folder)]
    ran = subprocess.run([*command, "--cache", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(tmp_path / report.PAGE)
    page = (tmp_path / report.PAGE).read_text(encoding="utf-8")
    assert "| tiny | fp32 | codes of a clip | identical |" in page
    raw = json.loads(next(tmp_path.glob("raw-quick/*.json")).read_text(encoding="utf-8"))
    assert raw["command"].startswith("python -m benchmarks.same --model")
