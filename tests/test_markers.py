"""Spans of label files equal those that the program shows; errors name the line."""

import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from test_riff import mark, sound
from vampcli.audio import markers
from vampcli.audio.metadata.wav_time import CuePoint
from vampcli.errors import ExitCode, InputError

DATA = Path(__file__).parent / "data" / "labels"
REAPER = "#,Name,Start,End,Length\n"
READ = {
    "audacity.txt": ((2.15, 3.4), (6.0, 7.25), (9.125, 10.0)),
    "audacity_points.txt": ((1.0, 2.5), (4.0, 4.75)),
    "reaper_minutes.csv": ((2.15, 3.4), (66.0, 67.25), (3609.125, 3610.0)),
    "reaper_seconds.csv": ((2.15, 3.4), (66.0, 67.25)),
    "reaper_markers.csv": ((1.0, 2.5), (4.0, 4.75)),
}


def read_spans(path: Path, *labels: str) -> tuple[tuple[float, float], ...]:
    """Start and end of the spans."""
    return tuple((one.start_s, one.end_s) for one in markers.read_spans(path, labels))


def written(folder: Path, text: str) -> Path:
    (folder / "labels").write_bytes(text.encode())
    return folder / "labels"


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("end_of_line", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_files_of_the_programs(tmp_path: Path, name: str, end_of_line: str, bom: str) -> None:
    assert read_spans(DATA / name) == READ[name]
    text = bom + (DATA / name).read_text(encoding="utf-8").replace("\n", end_of_line)
    assert read_spans(written(tmp_path, text)) == READ[name]
    assert read_spans(written(tmp_path, text.rstrip("\r\n"))) == READ[name]  # the last line may have no end


def test_audacity_decimal_commas(tmp_path: Path) -> None:
    text = (DATA / "audacity.txt").read_text(encoding="utf-8").replace("chair, and", "chair and").replace(".", ",")
    assert read_spans(written(tmp_path, text)) == READ["audacity.txt"]


def test_labels_with_odd_text(tmp_path: Path) -> None:
    text = "1\t2\n\n3.5\t4\ta\tb\u2028c\x0bd\n5\t6\t\\\n7\t8\t#,Name\n"
    assert read_spans(written(tmp_path, text)) == ((1, 2), (3.5, 4), (5, 6), (7, 8))


def test_order_of_regions_and_points(tmp_path: Path) -> None:
    assert read_spans(written(tmp_path, "5\t6\n1\t9\n0\t2\n")) == ((5, 6), (1, 9), (0, 2))
    assert read_spans(written(tmp_path, "6\t6\n1\t1\n2\t2\n5\t5\n")) == ((1, 2), (5, 6))


def test_reaper_times_are_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    starts = [(int(h), int(m), int(s), int(ms)) for h, m, s, ms in rng.integers(0, (3, 60, 60, 1000), (200, 4))]
    rows = "".join(f"R1,,{h}:{m:02}:{s:02}.{ms:03},9:00:00.000,\n" for h, m, s, ms in starts)
    found = read_spans(written(tmp_path, REAPER + rows))
    for (h, m, s, ms), (start, _) in zip(starts, found, strict=True):
        exact = 3600 * h + 60 * m + s + Fraction(ms, 1000)
        assert abs(Fraction(start) - exact) < Fraction(1, 10**9)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_wav_regions_are_exact(tmp_path: Path, rate: int, kind: str) -> None:
    sound(tmp_path / "a.dat", kind)  # the suffix is ignored
    content = (tmp_path / "a.dat").read_bytes()
    (tmp_path / "a.dat").write_bytes(content.replace(struct.pack("<I", 44100), struct.pack("<I", rate), 1))
    samples = np.random.default_rng(1).integers(0, 2**31, (50, 2)).tolist()
    mark(tmp_path / "a.dat", [CuePoint(start, n + 1, "") for start, n in samples] + [CuePoint(3, 0, "point")])
    spans = read_spans(tmp_path / "a.dat")
    assert spans == tuple((start / rate, (start + n + 1) / rate) for start, n in samples)
    assert [(round(a * rate), round(b * rate)) for a, b in spans] == [(start, start + n + 1) for start, n in samples]


def test_wav_points_are_pairs(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", [CuePoint(start, 0, "") for start in (44100, 0, 88200, 22050)])
    assert read_spans(tmp_path / "a.wav") == ((0, 0.5), (1, 2))


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", "marks nothing"),
        ("\n \n", "marks nothing"),
        (REAPER, "marks nothing"),
        ("1\t2\n4\t3\tback\n", "line 2: the end, 3.0 s, is before the start, 4.0 s"),
        ("1\t2\n4\tnan\n", r"line 2: '4\\tnan'"),
        ("1\t2\n\\\t1\t2\n-4\t3\n", r"line 3: '-4\\t3'"),
        ("inf\tinf\n", "line 1: 'inf"),
        ("1\t1e400\n", "line 1: "),
        ("1_0\t20\n", "line 1: '1_0"),
        ("9999999999\t9999999999\n", "line 1: '9999999999"),
        ("1.5\n", "line 1: '1.5'"),
        ("1.5\tcough\n", "line 1: "),
        ("1\t1\n2\t2\n3\t3\n", "there are 3; the last is line 3"),
        ("1\t1\n1.0\t1.0\n", "line 1 and line 2: start and end are both at 1.0 s"),
        ("# a comment\n", "line 1: '# a comment'"),
        (REAPER + "R1,a,0:02.000,0:01.000,\n", "line 2: the end, 1.0 s, is before the start, 2.0 s"),
        (REAPER + "R1,a,0:01.000,0:02.000,\nR2,b,,,\n", "line 3: '' is neither"),
        (REAPER + "R1,a,-0:01.000,0:02.000,\n", "line 2: '-0:01.000' is neither"),
        (REAPER + "R1,a,nan,0:02.000,\n", "line 2: 'nan' is neither"),
        (REAPER + 'R1,"a\nb",0:01.000,x,\n', "line 3: 'x' is neither"),
        (REAPER + 'R1,"a,0:01.000,0:02.000,\nR2,b,0:03.000,0:04.000,\n', "line 3: unexpected end"),
        (REAPER + "M1,a,0:01.000,,\n", "there are 1; the last is line 2"),
        ("#,Name\nM1,a\n", "line 2: '' is neither"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, facts: str) -> None:
    with pytest.raises(InputError, match=facts) as caught:
        read_spans(written(tmp_path, text))
    assert str(tmp_path / "labels") in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == ExitCode.INPUT


@pytest.mark.parametrize(("ruler", "text"), [("bars", "'5.1.00'"), ("frames", "'00:00:08:00'"), ("samples", "'50000'")])
def test_reaper_rulers_without_seconds(ruler: str, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        read_spans(DATA / f"reaper_{ruler}.csv")
    assert "set REAPER's ruler" in caught.value.hint


@pytest.mark.parametrize("content", ["Tür".encode("latin-1"), "1\t2\n".encode("utf-16"), b"fLaC\xff\xf8"])
def test_other_kinds_of_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(InputError, match="neither a WAV file nor text in UTF-8"):
        read_spans(tmp_path / "labels")


def test_files_without_spans(tmp_path: Path) -> None:
    for name, message in (("none.txt", "no such file"), ("", "is a folder")):
        with pytest.raises(InputError, match=message):
            read_spans(tmp_path / name)
    sound(tmp_path / "a.wav")
    with pytest.raises(InputError, match="marks nothing"):
        read_spans(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", [CuePoint(7, 0, "lost")])
    with pytest.raises(InputError, match="there are 1; the last is cue point 1 'lost'"):
        read_spans(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["WAV", "RF64"])
def test_damaged_wav_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    sound(path, kind, n=5)
    mark(path, [CuePoint(0, 3, "a"), CuePoint(2, 0, "point"), CuePoint(4, 1, "b")])
    whole, spans = path.read_bytes(), read_spans(path)
    rng = np.random.default_rng(2)
    changed = [whole[:n] for n in range(len(whole))]
    for i, byte in enumerate(rng.integers(256, size=len(whole)).tolist()):
        changed += [whole[:i] + bytes([new]) + whole[i + 1 :] for new in (0, 255, byte)]
    n_refused = 0
    with path.open("r+b", buffering=0) as file:
        for content in changed:
            file.seek(0)
            file.truncate(file.write(content))
            try:
                assert all(0 <= start < end < float("inf") for start, end in read_spans(path))
            except InputError:
                n_refused += 1
    assert len(whole) / 2 < n_refused < len(changed)
    assert spans == ((0, 3 / 44100), (4 / 44100, 5 / 44100))


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("name", ["reaper_minutes.csv", "reaper_seconds.csv", "reaper_markers.csv"])
def test_reaper_with_decimal_commas(tmp_path: Path, name: str, separator: str) -> None:
    text = (DATA / name).read_text(encoding="utf-8").replace(",", separator).replace(".", ",")
    assert read_spans(written(tmp_path, text)) == READ[name]


LABELLED = "0.5\t0.5\tcount-in\n1\t2\tCough \n3\t4\tTake 1\n5\t6\tTake 2\n7\t8\t[x]\n9\t9\t\n"
REGIONS = ((1, 2), (3, 4), (5, 6), (7, 8))


@pytest.mark.parametrize(
    ("labels", "which"),
    [(["cough"], [0]), (["TAKE*"], [1, 2]), (["take ?", "cough"], [0, 1, 2]), (["[x]"], [3]), (["Take 2"], [2])],
)
def test_labels_by_text(tmp_path: Path, labels: list[str], which: list[int]) -> None:
    reaper = "R1,Cough,1.0,2.0,\nR2,Take 1,3.0,4.0,\nR3,Take 2,5.0,6.0,\nR4,[x],7.0,8.0,\n"
    for text in (LABELLED, REAPER + reaper):
        assert read_spans(written(tmp_path, text), *labels) == tuple(REGIONS[i] for i in which)


def test_cue_points_by_name(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    mark(tmp_path / "a.wav", [CuePoint(0, 22050, "Hum"), CuePoint(44100, 22050, "cough")])
    assert read_spans(tmp_path / "a.wav", "hum") == ((0, 0.5),)


def test_missing_label_lists_those_there(tmp_path: Path) -> None:
    for labels in (["coug"], ["cough", "take"]):
        with pytest.raises(InputError, match=f"has no label '{labels[-1]}'") as caught:
            read_spans(written(tmp_path, LABELLED), *labels)
        assert "there: count-in, Cough, Take 1, Take 2, [x], (none)" in caught.value.hint


def test_points_beside_regions_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_spans(written(tmp_path, LABELLED)) == REGIONS
    assert "left out 2 labels without length: count-in (0.50 s), unnamed (9.00 s)" in caplog.text
    caplog.clear()
    assert read_spans(tmp_path / "labels", "cough") == ((1, 2),)
    assert read_spans(DATA / "audacity_points.txt") == READ["audacity_points.txt"]
    assert caplog.text == ""


def test_spans_name_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "\n1\t2\n3\t4\n")
    assert [one.source for one in markers.read_spans(path)] == [f"{path}, line 2", f"{path}, line 3"]


def test_import_loads_no_torch_or_numpy() -> None:
    code = (
        "import sys; from vampcli.audio.markers import read_spans; read_spans(sys.argv[1]); "
        "print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(DATA / "audacity.txt")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
