import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file
from scripts import free_music as script

from conftest import Song, Vamp, music
from training import codec_run, token_run
from vampcli.audio.find import expand
from vampcli.audio.loudness import level_gain
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import load_parts
from vampcli.errors import InputError, UsageError
from vampcli.files import LOCK
from vampcli.train import prepare as preparing
from vampcli.train.codec_task import CodecTask
from vampcli.train.credits import credits_text, licence_hours, write_credits
from vampcli.train.data import Pool, cap_shares, read_manifest, training_pool, write_manifest
from vampcli.train.encode import pack
from vampcli.train.loop import Task
from vampcli.train.pieces import pieces_of_files, pieces_of_table
from vampcli.train.prepare import Outcome, prepare, read_mono, sound_ranges
from vampcli.train.token_task import TokenTask

ROOT = Path(__file__).parents[1]


def run(inputs: list[str], out: Path) -> list[Outcome]:
    return list(prepare(pieces_of_files(inputs), out))


def written_at(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def table_of(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = ["package\tversion\tpath\tseconds\tlicence\tsplit\tauthor"]
    lines += [f"p\t1-1\t{name}\t2\tCC0-1.0\t{split}\tAnn" for name, split in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for i in range(2):
        sf.write(folder / f"{i}.wav", music(4, 44100, seed=i).T, 44100)
    run([str(folder)], folder / "out")
    return folder / "out"


def test_folder_with_a_broken_file(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    good = song("in/deep/good.wav", 2, 48000, 2)
    song("in/.hidden.wav")
    (tmp_path / "in/broken.ogg").write_bytes(b"no")
    (tmp_path / "in/notes.txt").write_text("not a sound")
    ran = vamp("prepare", tmp_path / "in", "-o", tmp_path / "out", "--json", "--licence", "CC-BY-4.0")
    assert ran.code == 3
    assert "broken.ogg" in ran.err
    assert "1 of 2 pieces" in ran.err
    facts = [json.loads(line) for line in ran.out.splitlines()]
    assert [Path(f["input"]).name for f in facts if "error" in f] == ["broken.ogg"]
    (entry,) = read_manifest(tmp_path / "out")
    assert entry | {"file": "", "stamp": ""} == {
        **{"file": "", "stamp": "", "path": str(good), "title": "good", "author": "", "licence": "CC-BY-4.0"},
        **{"package": "", "split": "train", "n_samples": 88200, "seconds": 2.0, "sample_rate": 44100, "start_s": 0.0},
    }
    samples = load_file(tmp_path / "out" / entry["file"])["samples"]
    assert (samples.dtype, len(samples)) == (torch.int16, 88200)
    assert level_gain(samples[None].numpy() / 32768, 44100) == pytest.approx(1, abs=0.01)  # it is at -24 LUFS


def test_second_run_reads_changed_files_only(song: Song, tmp_path: Path) -> None:
    paths = [str(song(f"{i}.wav", 1, seed=i)) for i in range(3)]
    run(paths, tmp_path / "out")
    before, entries = written_at(tmp_path / "out"), read_manifest(tmp_path / "out")
    list(prepare(pieces_of_files(paths, licence="CC0-1.0"), tmp_path / "out"))
    assert written_at(tmp_path / "out") == before
    assert read_manifest(tmp_path / "out") == [{**entry, "licence": "CC0-1.0"} for entry in entries]
    os.unlink(paths[0])  # what was made of it stays
    song("1.wav", 2, seed=9)
    outcomes = run(paths, tmp_path / "out")
    assert [o.error for o in outcomes] == [None] * 3
    after = written_at(tmp_path / "out")
    assert [after[e["file"]] == before[e["file"]] for e in entries] == [True, False, True]
    assert [e["seconds"] for e in read_manifest(tmp_path / "out")] == [1, 2, 1]


def test_interrupted_run_resumes(song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(song(f"{i}.wav", 1, seed=i)) for i in range(3)]
    real = preparing.save_tensors

    def cut(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if list(path.parent.glob("*.safetensors")):
            raise KeyboardInterrupt
        real(tensors, path)

    monkeypatch.setattr(preparing, "save_tensors", cut)
    with pytest.raises(KeyboardInterrupt):
        run(paths, tmp_path / "out")
    assert len(Pool(tmp_path / "out", "samples").pieces) == 1
    assert len(written_at(tmp_path / "out")) == 1
    first = written_at(tmp_path / "out")
    monkeypatch.setattr(preparing, "save_tensors", real)
    run(paths, tmp_path / "out")
    assert len(Pool(tmp_path / "out", "samples").pieces) == 3
    assert first.items() <= written_at(tmp_path / "out").items()
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [LOCK]


def test_silence_splits_a_recording(tmp_path: Path) -> None:
    sound = music(8, 44100)[0]
    sound[: 44100 * 1] = 0
    sound[44100 * 3 : 44100 * 5] = 0
    sound[44100 * 6 : 44100 * 6 + 20000] = 0  # a rest: under a second, so it stays
    sf.write(tmp_path / "a.wav", sound, 44100, "FLOAT")
    run([str(tmp_path / "a.wav")], tmp_path / "out")
    entries = read_manifest(tmp_path / "out")
    assert [e["start_s"] for e in entries] == pytest.approx([0.8, 4.8], abs=0.06)
    assert [e["seconds"] for e in entries] == pytest.approx([2.4, 3.2], abs=0.1)
    for entry in entries:
        start = round(entry["start_s"] * 44100)
        made = load_file(tmp_path / "out" / entry["file"])["samples"].numpy() / 32768
        own = sound[start : start + len(made)]
        gain = np.dot(made, own) / np.dot(own, own)
        assert np.abs(made - gain * own).max() < 0.001  # the recording as it was, at one gain


def test_level_of_a_long_piece(song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = song("a.wav", 12)
    (whole,) = run([str(path)], tmp_path / "whole")
    monkeypatch.setattr(preparing, "_MEASURED_S", 5)
    measured: list[int] = []
    monkeypatch.setattr(
        preparing, "level_gain", lambda samples, rate: measured.append(samples.size) or level_gain(samples, rate)
    )
    (parts,) = run([str(path)], tmp_path / "parts")
    assert measured == [5 * 44100]
    one, other = (
        load_file(tmp_path / name / outcome.entries[0]["file"])["samples"].double().square().mean()
        for name, outcome in (("whole", whole), ("parts", parts))
    )
    assert abs(10 * torch.log10(one / other)) < 1  # dB


@pytest.mark.parametrize("seed", range(5))
def test_sound_ranges_equal_slow_version(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(12) < 0.5, rng.integers(1, 45, 12))  # of blocks of 50 ms; 20 of them are a second
    ranges = sound_ranges(np.repeat(loud, 50).astype(np.float32), 1000)
    expected = np.zeros(50 * len(loud) + 200, dtype=bool)
    for i in np.flatnonzero(loud):  # a quiet block stays if sound is within 0.2 s, or on both sides within a second
        near = np.flatnonzero(loud[i + 1 : i + 21])
        stop = i + 1 + near[-1] if len(near) else i
        expected[max(0, 50 * i - 200) : 50 * (stop + 1) + 200] = True
    got = np.zeros_like(expected)
    for start, end in ranges:
        assert not got[start:end].any()
        got[start:end] = True
    assert np.array_equal(got[: 50 * len(loud)], expected[: 50 * len(loud)])


def test_full_disk_ends_the_run(song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vamp: Vamp) -> None:
    def full(tensors: dict[str, torch.Tensor], path: Path) -> None:
        raise InputError(f"cannot write {path}: disk full", "make room")

    monkeypatch.setattr(preparing, "save_tensors", full)
    ran = vamp("prepare", song("a.wav", 1), song("b.wav", 1), "-o", tmp_path / "out")
    assert ran.code == 3
    assert ran.err.count("disk full") == 1
    assert read_manifest(tmp_path / "out") == []
    assert vamp("prepare", song("a.wav", 1), "-o", tmp_path / "a.wav").code == 3


def test_silent_file(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(88200), 44100)
    (outcome,) = run([str(tmp_path / "a.wav")], tmp_path / "out")
    assert outcome.error is not None
    assert "of sound" in outcome.error.message
    assert read_manifest(tmp_path / "out") == []


def test_sidecars_override_credits(song: Song, tmp_path: Path) -> None:
    a, b = song("a.wav", 1), song("b.wav", 1)
    text = (
        "SPDX-FileCopyrightText: 2020 Ann\nSPDX-FileCopyrightText: 2021 Bob\n\nSPDX-License-Identifier: CC-BY-SA-4.0\n"
    )
    (tmp_path / "a.wav.license").write_text(text)
    pieces = pieces_of_files([str(a), str(b)], "Me", "CC0-1.0")
    assert [(p.author, p.licence) for p in pieces] == [("2020 Ann, 2021 Bob", "CC-BY-SA-4.0"), ("Me", "CC0-1.0")]


def test_inputs_of_expand(song: Song, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    a, b, c = song("a.wav", 0.1), song("b.wav", 0.1), song("f/c.WAV", 0.1)
    (tmp_path / "list.txt").write_text(f"{a}\n\n{tmp_path / 'f'}\n")
    assert expand([f"@{tmp_path / 'list.txt'}", str(tmp_path / "?.wav"), str(a)]) == [a, c, b]
    assert expand(["missing.wav"]) == [Path("missing.wav")]  # named where it is read
    (tmp_path / "empty").mkdir()
    for bad in (str(tmp_path / "*.flac"), "@missing.txt", str(tmp_path / "empty")):
        with pytest.raises(InputError):
            expand([bad])


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["a.wav", "--table", "t.tsv"],
        ["a.wav", "--root", "x"],
        ["a.wav", "--split", "dev"],
        ["--table", "t.tsv", "--licence", "MIT"],
        ["a.wav", "-j", "0"],
    ],
)
def test_contradicting_options(vamp: Vamp, tmp_path: Path, options: list[str]) -> None:
    assert vamp("prepare", *options, "-o", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


def test_split_without_rows(vamp: Vamp, tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("package\tpath\tlicence\tsplit\tauthor\np\ta.wav\tMIT\ttest\tA\n")
    ran = vamp("prepare", "--table", tmp_path / "t.tsv", "--split", "val", "-j", 2, "-o", tmp_path / "out")
    ran.refuses(3, "no row of the split 'val'")


def test_stems_are_summed(song: Song, tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    one, other = song("song/guitar.wav", 2, seed=1), song("song/song.wav", 1, seed=2)
    total = read_mono(tmp_path / "song", 44100)
    long, short = read_mono(one, 44100), read_mono(other, 44100)
    assert np.allclose(total[:44100], long[:44100] + short)
    assert np.array_equal(total[44100:], long[44100:])


def test_tracker_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, song: Song) -> None:
    tune = song("tune.wav", 1)
    (tmp_path / "bin").mkdir()
    player = tmp_path / "bin/openmpt123"  # plays the one tune it knows; the last argument is the module
    player.write_text(
        "#!/bin/sh\nfor last; do :; done\ngrep -q good \"$last\" || { echo 'no module' >&2; exit 1; }\n"
        f'while [ "$1" != --output ]; do shift; done\ncp {tune} "$2"\n'
    )
    player.chmod(0o755)
    (tmp_path / "good.xm").write_text("good")
    (tmp_path / "bad.it").write_text("bad")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    good, bad = run([str(tmp_path / "good.xm"), str(tmp_path / "bad.it")], tmp_path / "out")
    assert good.entries[0]["seconds"] == 1
    assert bad.error is not None
    assert "no module" in bad.error.message
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "new.s3m").write_text("good")
    (outcome,) = run([str(tmp_path / "new.s3m")], tmp_path / "out")
    assert outcome.error is not None
    assert "apt-get install openmpt123" in outcome.error.hint


def test_rows_of_other_splits_are_ignored(vamp: Vamp, song: Song, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "unlisted.wav"):
        song(name, 1)
    table = table_of(tmp_path / "t.tsv", [("a.wav", "train"), ("b.wav", "test"), ("gone.wav", "train")])
    ran = vamp("prepare", "--table", table, "-o", tmp_path / "train")
    assert ran.code == 3
    assert "gone.wav" in ran.err
    assert vamp("prepare", "--table", table, "--split", "test", "-o", tmp_path / "test").code == 0
    rows = {(r["package"], r["path"]): r["split"] for r in read_table(table)}
    pool = training_pool(tmp_path / "train", "samples")
    assert [rows[e["package"], e["path"]] for e in pool.entries] == ["train"]
    with pytest.raises(UsageError, match="split test"):
        training_pool(tmp_path / "test", "samples")
    with pytest.raises(InputError, match="splits test, train"):
        list(prepare(pieces_of_table(table, tmp_path, "test"), tmp_path / "train"))


def test_invalid_table(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("path\tsplit\n")
    for name, says in (("t.tsv", "'package'"), ("missing.tsv", "missing")):
        with pytest.raises(InputError, match=says):
            pieces_of_table(tmp_path / name, tmp_path, "train")


def test_old_manifests_are_read(prepared: Path, tmp_path: Path) -> None:
    entry = read_manifest(prepared)[0]
    shutil.copy(prepared / entry["file"], tmp_path)
    kept = ("file", "n_samples", "author", "title", "licence", "package", "split", "path")
    write_manifest(tmp_path, [{key: entry[key] for key in kept}])
    assert training_pool(tmp_path, "samples").draw(np.random.default_rng(0), 2, 100).shape == (2, 100)


def test_draws_depend_on_the_generator(prepared: Path) -> None:
    pool = Pool(prepared, "samples")
    one, other = (pool.draw(np.random.default_rng([0, 5]), 3, 1000) for _ in range(2))
    assert one.shape == (3, 1000)
    assert torch.equal(one, other)
    assert not torch.equal(one, pool.draw(np.random.default_rng([0, 6]), 3, 1000))


@pytest.mark.parametrize("cap", [0.01, 0.2, 0.5, 1.0])
def test_shares_of_random_authors(cap: float) -> None:
    rng = np.random.default_rng(0)
    authors = [str(a) for a in rng.integers(0, 6, 40)]
    shares = cap_shares(rng.uniform(1, 100, 40), authors, cap)
    totals = [sum(s for s, a in zip(shares, authors, strict=True) if a == name) for name in set(authors)]
    assert sum(totals) == pytest.approx(1)
    assert max(totals) <= max(cap, 1 / 6) + 1e-9


def test_shares_within_author_go_by_length() -> None:
    shares = cap_shares([100, 900, 50, 30, 20], ["a", "a", "b", "c", "d"], 0.4)
    assert shares == pytest.approx([0.04, 0.36, 0.3, 0.18, 0.12])


@pytest.mark.parametrize("task", [CodecTask, TokenTask])
def test_tasks_refuse_held_out_pieces(prepared: Path, tiny_folder: Path, tmp_path: Path, task: type[Task]) -> None:
    held_out = {"split": "val", "codec_hash": stored_hash(tiny_folder / "codec.safetensors")}
    write_manifest(tmp_path, [entry | held_out for entry in read_manifest(prepared)])
    run = codec_run(tmp_path) if task is CodecTask else token_run(tmp_path, tiny_folder)
    with pytest.raises(UsageError, match="is of the split val"):
        task(run)  # type: ignore[call-arg]


def test_tokens_of_the_stored_codec(vamp: Vamp, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    assert vamp("prepare", song("a.wav", 2), "-o", tmp_path / "out").code == 0
    ran = vamp("train", "tokens", tmp_path / "out", "-m", tiny_folder, "-o", tmp_path / "out/tokens")
    assert ran.code == 0, ran.err
    (entry,) = read_manifest(tmp_path / "out/tokens")
    assert entry["codec_hash"] == stored_hash(tiny_folder / "codec.safetensors")
    codec = load_parts(tiny_folder, torch.device("cpu"), torch.float32).codec
    samples = load_file(tmp_path / "out" / entry["file"])["samples"].float() / 32768
    codes = load_file(tmp_path / "out/tokens" / entry["file"])["codes"]
    assert codes.dtype == torch.int16
    assert torch.equal(codes.long(), codec.encode(samples))


def test_changed_audio_is_encoded_again(song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    paths = [str(song(f"{i}.wav", 1, seed=i)) for i in range(2)]
    run(paths, tmp_path / "audio")
    pack(tmp_path / "audio", tiny_folder, tmp_path / "tokens")
    before = written_at(tmp_path / "tokens")
    song("1.wav", 1, seed=9)
    run(paths, tmp_path / "audio")
    pack(tmp_path / "audio", tiny_folder, tmp_path / "tokens")
    after = written_at(tmp_path / "tokens")
    files = [entry["file"] for entry in read_manifest(tmp_path / "tokens")]
    assert [after[name] == before[name] for name in files] == [True, False]
    entries = [{**entry, "codec_hash": "00"} for entry in read_manifest(tmp_path / "tokens")]
    write_manifest(tmp_path / "tokens", entries)
    with pytest.raises(InputError, match="another codec"):
        pack(tmp_path / "audio", tiny_folder, tmp_path / "tokens")


ENTRY = {
    **{"package": "p", "author": "Ann | Bob", "licence": "CC-BY-3.0", "title": "Tune", "split": "train"},
    **{"file": "a", "path": "a.ogg", "n_samples": 44100 * 3600},
}


def test_credits_name_every_author() -> None:
    text = credits_text([ENTRY, {**ENTRY, "title": "Air"}, ENTRY], "mini", "CC-BY-SA-4.0")
    assert "| p | Ann / Bob | CC-BY-3.0 | Air, Tune |" in text
    with pytest.raises(UsageError, match="split test"):
        credits_text([{**ENTRY, "split": "test"}], "mini", "CC-BY-SA-4.0")


def test_licences_in_the_model_card(tmp_path: Path) -> None:
    entries = [ENTRY, {**ENTRY, "path": "b.ogg", "licence": "CC0-1.0", "n_samples": 88200, "sample_rate": 88200}]
    assert licence_hours(entries) == pytest.approx({"CC-BY-3.0": 1.0, "CC0-1.0": 1 / 3600})
    write_credits(tmp_path, entries, "toy", "CC-BY-SA-4.0")
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-sa-4.0\n---\n# `toy`\n")
    assert "| CC-BY-3.0 | 1.00 |" in card
    assert "2 pieces, 1.00 h" in card
    card = card.replace("license: cc-by-sa-4.0", "tags: [music]\nlicense: mit") + "\n## Own words\n"
    (tmp_path / "README.md").write_text(card)
    write_credits(tmp_path, entries[:1], "toy", "CC-BY-4.0")
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\ntags: [music]\n---\n")
    assert card.count("licence of the music") == 1
    assert "CC0-1.0" not in card
    assert card.endswith("\n## Own words\n")
    with pytest.raises(UsageError, match="split ood"):
        write_credits(tmp_path, [{**ENTRY, "split": "ood"}], "toy", "CC-BY-4.0")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_free_music_from_local_packages(
    vamp: Vamp, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    games = tmp_path / "build/usr/share/games"
    games.mkdir(parents=True)
    (tmp_path / "build/DEBIAN").mkdir()
    (tmp_path / "build/DEBIAN/control").write_text(
        "Package: p\nVersion: 1-1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: music\n"
    )
    for name in ("a.wav", "b.wav", "z.wav", "unlisted.wav"):
        song(name, 0.6)
    for name in ("a.wav", "b.wav", "unlisted.wav"):
        shutil.copy(tmp_path / name, games)
    with zipfile.ZipFile(games / "m.pk3", "w") as zipped:
        zipped.write(tmp_path / "z.wav", "music/z.wav")
        zipped.write(tmp_path / "z.wav", "music/unlisted.wav")
    out = tmp_path / "data"
    (out / "packages").mkdir(parents=True)
    build = ["dpkg-deb", "--build", "-Znone", str(tmp_path / "build"), str(out / "packages/p_1-1_all.deb")]
    subprocess.run(build, check=True, capture_output=True)
    at = "usr/share/games/"
    rows = [(at + "a.wav", "train"), (at + "m.pk3.x/music/z.wav", "train"), (at + "b.wav", "test")]
    table = table_of(tmp_path / "t.tsv", rows)
    commands: list[list[str]] = []
    real = subprocess.run

    def recorded(command: list[str], **options: object) -> object:
        commands.append(command)
        if command[0] == sys.executable:
            return subprocess.CompletedProcess(command, vamp(*command[3:]).code)
        assert command[0] == "dpkg-deb"  # no download
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(script.subprocess, "run", recorded)
    arguments = ["--out", str(out), "--table", str(table), "--splits", "train"]
    assert script.main([*arguments, "--dry-run"]) == 0
    assert commands == []
    assert script.main(arguments) == 0
    unpacked = {str(p.relative_to(out / "root")) for p in (out / "root").rglob("*") if p.is_file()}
    assert unpacked == {rows[0][0], rows[1][0]}
    assert {e["path"] for e in read_manifest(out / "train")} == {rows[0][0], rows[1][0]}
    assert not (out / "test").exists()
    monkeypatch.setattr(script, "prepare", lambda *_: 0)
    commands.clear()
    assert script.main(arguments) == 0
    assert commands == []  # all is unpacked


def test_free_music_needs_a_player_of_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.shutil, "which", lambda _: None)
    monkeypatch.setattr(script, "download_bytes", lambda packages: {p.name: 1 for p in packages})
    table = table_of(tmp_path / "t.tsv", [("a.XM", "train"), ("b.ogg", "train")])
    with pytest.raises(InputError, match="1 tracker modules"):
        script.main(["--out", str(tmp_path / "out"), "--table", str(table)])
    assert not (tmp_path / "out").exists()


def test_free_music_download_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Package: p\nVersion: 1-1\nSize: 5000000\nDescription: x\n"
    monkeypatch.setattr(
        script.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, stdout=said)
    )
    arguments = ["--out", str(tmp_path), "--table", str(table_of(tmp_path / "t.tsv", [("a", "train")])), "--dry-run"]
    assert script.main(arguments) == 0
    assert "1 to download: 5 MB" in capsys.readouterr().err
    assert script.main([*arguments, "--max-mb", "4"]) == 0
    assert "left out: p, 5 MB" in capsys.readouterr().err


def test_two_processes_give_the_same_outcomes(song: Song, tmp_path: Path) -> None:
    pieces = pieces_of_files([str(song("a.wav", 1)), str(tmp_path / "missing.wav")])
    (one, failed), (other, failed_there) = (list(prepare(pieces, tmp_path / str(jobs), jobs)) for jobs in (1, 2))
    assert one == other
    assert vars(failed.error) == vars(failed_there.error)


def test_ended_workers_leave_no_files(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from vampcli.files import replacing; from vampcli.train.prepare import _start_worker\n"
        "_start_worker()\n"
        "with replacing(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path / "a"], check=False, timeout=60).returncode == 1
    assert os.listdir(tmp_path) == []


def test_links_to_nothing_stop_no_other_piece(song: Song, tmp_path: Path) -> None:
    (tmp_path / "stems").mkdir()
    (tmp_path / "stems/a.wav").symlink_to(tmp_path / "gone.wav")
    whole = song("b.wav", 1)
    table = table_of(tmp_path / "t.tsv", [("stems", "train"), (whole.name, "train")])
    failed, done = prepare(pieces_of_table(table, whole.parent, "train"), tmp_path / "out")
    assert "a.wav: No such file" in failed.error.message  # type: ignore[union-attr]
    assert len(done.entries) == 1
