"""Metadata: carried byte for byte, moved with the time line, converted; damage never fails."""

import logging
import random
import resource
import shutil
import struct
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import tagged
from conftest import limited
from recipes import recipe
from tagged import CHUNKS, ID3, INFO, PICTURE, RATE, TAGS, acid, adtl, bext, cue, id3, ixml, smpl, tagged_wav
from vampcli.audio.metadata import aiff, base, carry, flac, mp3, ogg, vorbis, wav
from vampcli.audio.metadata import id3 as id3_module
from vampcli.audio.metadata.base import Block, Blocks, DamagedError, Tags, Timeline
from vampcli.audio.read import read, read_comment, read_metadata
from vampcli.audio.write import write
from vampcli.errors import InputError
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.recipe import to_text

SUFFIXES = [".wav", ".flac", ".ogg", ".mp3", ".aiff"]
RECIPE = to_text(recipe())
BEFORE = Timeline(0, RATE, 1000, RATE + 2000, RATE)  # outpainted at both ends
CUT = Timeline(11025, 33075, -11025, 2 * 22050, RATE)  # a loop of two copies


def contents(blocks: Blocks, name: bytes) -> list[bytes]:
    return [block.content for block in blocks if block.name == name]


def copied(source: Path, target: Path, comment: str = "", loop: tuple[int, int] | None = None) -> Path:
    """Write a file again with its metadata, as inpainting does."""
    write(target, read(source), overwrite=True, loop=loop, comment=comment, metadata=read_metadata(source))
    return target


# --- the same container


def test_chunks_of_wav_stay_byte_by_byte(tmp_path: Path) -> None:
    source = tagged_wav(tmp_path / "a.wav")
    result = copied(source, tmp_path / "b.wav", RECIPE)
    found = wav.read(result, "b.wav")
    assert set(found) == {*CHUNKS, Block(b"LIST", b"INFO" + tagged.item(b"ISBJ", RECIPE.encode() + b"\0"))}
    assert found[0].name == b"bext"
    assert found[0].leads
    assert np.array_equal(read(result).samples, read(source).samples)
    assert recipe_of(result) == recipe()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tags_and_pictures_stay(tmp_path: Path, suffix: str) -> None:
    source = tagged.tagged(tmp_path / f"a{suffix}")
    result = copied(source, tmp_path / f"b{suffix}", RECIPE)
    tags = read_metadata(result).tags()
    assert set(TAGS) <= set(tags.texts)
    assert tags.pictures == (PICTURE,)
    assert recipe_of(result) == recipe()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_metadata_change_no_sample(tmp_path: Path, suffix: str) -> None:
    source = tagged.tagged(tmp_path / f"a{suffix}")
    copied(source, tmp_path / f"b{suffix}", "x" * 200_000, (5, 500))
    write(tmp_path / f"plain{suffix}", read(source))
    assert np.array_equal(sf.read(tmp_path / f"b{suffix}")[0], sf.read(tmp_path / f"plain{suffix}")[0])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_own_comment_stands_beside_one_recipe(tmp_path: Path, suffix: str) -> None:
    path = tagged.tagged(tmp_path / f"a{suffix}")
    for seed in (1, 2):
        copied(path, path, to_text(recipe(seed=seed)))
    texts = [value for _, value in read_metadata(path).tags().texts]
    assert texts.count("mine") == 1
    assert sum("vamp_recipe" in text for text in texts) == 1
    assert recipe_of(path) == recipe(seed=2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_recipe_is_the_comment_if_there_is_no_other(tmp_path: Path, suffix: str) -> None:
    copied(tagged.sound(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}", RECIPE)
    assert read_metadata(tmp_path / f"b{suffix}").tags().get("COMMENT") == RECIPE
    if suffix != ".wav":  # libsndfile reads 8 kB of it
        with sf.SoundFile(tmp_path / f"b{suffix}") as file:
            assert file.comment == RECIPE


def test_application_and_cue_sheet_of_flac_stay(tmp_path: Path) -> None:
    sheet = bytes(395) + b"\1" + bytes(8) + b"\xff" + bytes(27)  # its end alone
    blocks = (Block(b"APPLICATION", b"riffabc"), Block(b"CUESHEET", sheet))
    flac.write(tagged.sound(tmp_path / "a.flac"), blocks)
    found = flac.read(copied(tmp_path / "a.flac", tmp_path / "b.flac", RECIPE), "b")
    assert [block._replace(leads=False) for block in found if block.name != vorbis.COMMENTS] == list(blocks)
    kept, lost = flac.move(found, BEFORE)
    assert [block.name for block in kept] == [vorbis.COMMENTS]
    assert lost == ("APPLICATION", "CUESHEET")


def test_tag_before_flac(tmp_path: Path) -> None:
    path = tagged.tagged(tmp_path / "a.flac")
    path.write_bytes(id3((b"TIT2", b"\0x")) + path.read_bytes())
    assert read_metadata(path).tags().pictures == (PICTURE,)


def test_large_files_with_chunks_become_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tagged_wav(tmp_path / "a.wav")
    n_bytes = sum(len(block.content) for block in CHUNKS)
    monkeypatch.setattr("vampcli.audio.write._WAV_LIMIT", 4 * RATE + n_bytes - 1)
    result = copied(source, tmp_path / "b.wav")
    assert sf.info(result).format == "RF64"
    padded = (b._replace(content=b.content + b"\0") if b.name == b"bext" else b for b in CHUNKS)
    assert set(wav.read(result, "b")) == set(padded)
    assert int.from_bytes(result.read_bytes()[20:28], "little") == result.stat().st_size - 8


# --- Ogg pages


def pages(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The slow way: every page, its flags and its number, with its checksum computed bit by bit."""
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x104C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    offset = 0
    while offset < len(content):
        n_segments = content[offset + 26]
        size = 27 + n_segments + sum(content[offset + 27 : offset + 27 + n_segments])
        page = content[offset : offset + size]
        checksum = 0
        for byte in page[:22] + bytes(4) + page[26:]:
            checksum = (checksum << 8 & 0xFFFFFFFF) ^ table[checksum >> 24 ^ byte]
        assert checksum == int.from_bytes(page[22:26], "little")
        yield page, page[5], int.from_bytes(page[18:22], "little")
        offset += size


@pytest.mark.parametrize("size", [0, 254, 255, 256, 255 * 255 - 20, 150_000])
def test_pages_of_ogg(tmp_path: Path, size: int) -> None:
    path = tagged.sound(tmp_path / "a.ogg", 4410)
    before = sf.read(path)[0]
    ogg.write(path, ogg.from_tags(Tags((("TITLE", "x" * size), ("A", "b")))))
    numbers = [number for _, _, number in pages(path.read_bytes())]
    assert numbers == list(range(len(numbers)))
    assert np.array_equal(sf.read(path)[0], before)
    assert read_metadata(path).tags().get("TITLE") == "x" * size


def test_comments_of_opus(tmp_path: Path) -> None:
    try:
        sf.write(tmp_path / "a.ogg", np.zeros((960, 1)), 48000, "OPUS")
    except sf.LibsndfileError:
        pytest.skip("this libsndfile has no Opus")
    with sf.SoundFile(tmp_path / "b.ogg", "w", 48000, 1, "OPUS", format="OGG") as file:
        file.title = "Ttle"
        file.write(np.zeros((960, 1)))
    assert read_metadata(tmp_path / "b.ogg").tags().get("TITLE") == "Ttle"


# --- other containers


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", SUFFIXES)
def test_every_container_into_every_other(
    tmp_path: Path, source: str, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tagged.tagged(tmp_path / f"a{source}")
    result = copied(path, tmp_path / f"b{target}", RECIPE)
    tags = read_metadata(result).tags()
    assert set(TAGS) <= set(tags.texts)
    assert tags.pictures == (PICTURE,)
    assert "cannot hold its" not in caplog.text
    assert recipe_of(result) == recipe()


def test_one_note_names_what_cannot_be_carried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tagged_wav(tmp_path / "a.wav")
    clip, metadata = read(source), read_metadata(source)
    for i in range(3):
        write(tmp_path / f"{i}.flac", clip, metadata=metadata)
    (note,) = caplog.messages
    assert note == "a.wav: FLAC cannot hold its bext, iXML, cue, LIST, smpl, acid, _PMX, PRIV: the result is without"
    tags = read_metadata(tmp_path / "0.flac").tags()
    assert (tags.get("TITLE"), tags.get("BPM"), tags.get("COMMENT")) == ("My Title", "120", "a comment of my own")


def test_id3_goes_between_wav_and_mp3_as_it_is(tmp_path: Path) -> None:
    metadata = read_metadata(tagged_wav(tmp_path / "a.wav", Block(b"id3 ", ID3)))
    write(tmp_path / "b.mp3", read(tmp_path / "a.wav"), metadata=metadata)
    assert (tmp_path / "b.mp3").read_bytes().startswith(ID3)


def test_several_values_of_a_name(tmp_path: Path) -> None:
    flac.write(tagged.sound(tmp_path / "a.flac"), flac.from_tags(Tags((("ARTIST", "A"), ("ARTIST", "B")))))
    for suffix, artists in ((".ogg", ["A", "B"]), (".mp3", ["A", "B"]), (".wav", ["A; B"])):
        tags = read_metadata(copied(tmp_path / "a.flac", tmp_path / f"b{suffix}")).tags()
        assert [value for name, value in tags.texts if name == "ARTIST"] == artists


def test_pictures_too_large_for_flac(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    large = vorbis.picture(3, "image/png", "", bytes(2**24))
    flac.write(tagged.sound(tmp_path / "a.flac"), flac.from_tags(Tags((("TITLE", "T"),), (large, PICTURE))))
    assert "FLAC holds no PICTURE of" in caplog.text
    assert read_metadata(tmp_path / "a.flac").tags().pictures == (PICTURE,)


# --- another time line


def test_chunks_move_with_an_outpainted_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metadata = read_metadata(tagged_wav(tmp_path / "a.wav"))
    assert carry.moved(metadata, Timeline(0, RATE, 0, RATE, RATE)) is metadata
    blocks = carry.moved(metadata, BEFORE).blocks
    assert contents(blocks, b"bext") == [bext(48000 * 60 - 1000)]
    assert contents(blocks, b"iXML") == [ixml(48000 * 60 - 1000)]
    assert contents(blocks, b"cue ") == [cue((1, 23050), (2, 45100))]
    assert contents(blocks, b"smpl") == [smpl((2000, 41_000))]
    assert contents(blocks, b"LIST") == [adtl(1, 2), INFO]
    assert contents(blocks, b"acid") == [acid(2)]
    assert contents(blocks, b"id3 ") == [ID3]
    assert not caplog.messages


def test_chunks_move_with_a_loop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metadata = read_metadata(tagged_wav(tmp_path / "a.wav", *CHUNKS, Block(b"regn", b"1234")))
    blocks = carry.moved(metadata, CUT).blocks
    assert contents(blocks, b"bext") == [bext(48000 * 60 + 11025)]
    assert contents(blocks, b"cue ") == [cue((1, 11025))]
    assert contents(blocks, b"LIST")[0] == adtl(1)
    assert contents(blocks, b"smpl") == [smpl()]
    assert contents(blocks, b"regn") == []
    assert wav.set_loop(blocks, 0, 44100, RATE)[-1].content == smpl((0, 44100))  # the root note stays
    assert caplog.messages == [
        "a.wav: the time line changes: the result is without all or part of cue, LIST, smpl, regn"
    ]


def test_a_reference_before_midnight_becomes_zero() -> None:
    (block,), lost = wav.move((Block(b"bext", bext(10)),), BEFORE)
    assert (block.content, lost) == (bext(0), ("bext",))


def test_scattered_samples_keep_no_time(tmp_path: Path) -> None:
    blocks = carry.moved(read_metadata(tagged_wav(tmp_path / "a.wav")), None).blocks
    assert [block.name for block in blocks] == [b"smpl", b"LIST", b"id3 ", b"_PMX"]


def test_chapters_and_loops_of_tags_move() -> None:
    chapters = id3((b"TIT2", b"\0x"), (b"CHAP", b"a\0" + bytes(16)), (b"TLEN", b"\x0010"))
    kept, lost = id3_module.move(chapters, same=False)
    assert (kept, lost) == (id3((b"TIT2", b"\0x")), ("CHAP", "TLEN"))
    entries = (("LOOPSTART", "100"), ("LOOPLENGTH", "50"), ("CHAPTER001", "0"), ("TITLE", "x"))
    assert vorbis.move(entries, BEFORE) == (
        (("TITLE", "x"), ("LOOPSTART", "1100"), ("LOOPLENGTH", "50")),
        ("CHAPTER001",),
    )
    assert vorbis.move(entries, None)[0] == (("TITLE", "x"),)


def test_markers_of_aiff_move() -> None:
    looped = aiff.set_loop((Block(b"MIDI", b"12"),), 100, 20_000, RATE)
    blocks, lost = aiff.move(looped, BEFORE)
    assert (aiff.loop(blocks), lost) == ((1100, 21_000), ("MIDI",))
    blocks, lost = aiff.move(looped, CUT)
    assert (aiff.loop(blocks), lost) == (None, ("MIDI", "MARK", "loop of INST"))


def test_positions_of_cue_points_stay_within_32_bits() -> None:
    block = Block(b"cue ", struct.pack("<3I4s3I", 1, 7, 2**32 - 1, b"data", 0, 0, 100))
    blocks, lost = wav.move((block,), BEFORE)
    assert (struct.unpack_from("<2I", blocks[0].content, 4), lost) == ((7, 2**32 - 1), ())


def test_marker_without_its_last_zero() -> None:
    marker = Block(b"MARK", struct.pack(">HhIB", 1, 5, 100, 4) + b"vers")
    blocks = aiff.set_loop((marker,), 100, 900, RATE)
    assert aiff.loop(blocks) == (100, 900)
    assert aiff._markers(contents(blocks, b"MARK")[0])[5] == (100, b"\x04vers\0")
    with pytest.raises(DamagedError):
        aiff._markers(marker.content[:-1])


# --- loop points


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_loop_points(tmp_path: Path, suffix: str) -> None:
    result = copied(tagged.tagged(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}", RECIPE, (100, 900))
    assert read_metadata(result).loop() == (None if suffix == ".mp3" else (100, 900))


def test_libsndfile_reads_the_loop_of_aiff(tmp_path: Path) -> None:
    write(tmp_path / "a.aiff", read(tagged.sound(tmp_path / "a.wav")), loop=(100, 900))
    log = " ".join(sf.SoundFile(tmp_path / "a.aiff").extra_info.split())
    assert "INST : 20" in log
    assert "Mark ID : 1" in log


# --- ID3


@pytest.mark.parametrize(
    "tag",
    [
        id3((b"TT2", b"\0Ttle"), (b"COM", b"\0engd\0mine"), (b"PIC", b"\0PNG\3front\0pic"), version=2),
        id3((b"TIT2", b"\0Ttle"), (b"COMM", b"\0engd\0mine"), (b"APIC", b"\0image/png\0\3front\0pic")),
        id3((b"TIT2", b"\3Ttle"), (b"COMM", b"\3engd\0mine"), (b"APIC", b"\0image/png\0\3front\0pic"), version=4),
        id3(
            (b"TIT2", b"\1" + "Ttle".encode("utf-16")),
            (b"COMM", b"\1eng" + "d\0".encode("utf-16") + "mine".encode("utf-16")),
            (b"APIC", b"\1image/png\0\3" + "front\0".encode("utf-16") + b"pic"),
        ),
        id3(
            (b"TIT2", b"\0Ttle"),
            (b"COMM", b"\0engd\0mine"),
            (b"APIC", b"\0image/png\0\3front\0pic"),
            flags=0x40,
            extra=b"\0\0\0\6" + bytes(6),
        ),
    ],
)
def test_versions_of_id3(tag: bytes) -> None:
    tags = id3_module.to_tags(tag)
    assert tags.texts == (("TITLE", "Ttle"), ("COMMENT", "mine"))
    assert tags.pictures == (vorbis.picture(3, "image/png", "front", b"pic"),)
    with_recipe = id3_module.set_recipe(tag, RECIPE)
    assert id3_module.to_tags(with_recipe).texts[:2] == tags.texts
    assert id3_module.to_tags(id3_module.set_recipe(with_recipe, "")).texts == tags.texts


def test_unsynchronised_tags() -> None:
    image = b"\0image/png\0\3\0\xff\xd8\xff\xe0"
    body = id3((b"APIC", image))[10:].replace(b"\xff", b"\xff\0")
    whole = b"ID3\3\0\x80" + tagged.synchsafe(len(body)) + body
    assert id3_module.to_tags(whole).pictures == (vorbis.picture(3, "image/png", "", b"\xff\xd8\xff\xe0"),)
    body = b"APIC" + tagged.synchsafe(len(image) + 2) + b"\0\2" + image.replace(b"\xff", b"\xff\0")
    whole = b"ID3\4\0\0" + tagged.synchsafe(len(body)) + body
    assert id3_module.to_tags(whole).pictures == (vorbis.picture(3, "image/png", "", b"\xff\xd8\xff\xe0"),)


def test_plain_sizes_of_old_itunes() -> None:
    frames = [(b"TIT2", b"\0" + b"x" * 200), (b"TALB", b"\0Al")]
    body = b"".join(name + len(content).to_bytes(4, "big") + b"\0\0" + content for name, content in frames)
    tags = id3_module.to_tags(b"ID3\4\0\0" + tagged.synchsafe(len(body)) + body)
    assert tags.texts == (("TITLE", "x" * 200), ("ALBUM", "Al"))


def test_what_an_encoder_wrote_is_not_carried(tmp_path: Path) -> None:
    path = tagged.sound(tmp_path / "a.mp3")
    tag = id3((b"TIT2", b"\0x"), (b"COMM", b"\0engiTunSMPB\x00 0000"), (b"MLLT", bytes(10)))
    path.write_bytes(tag + path.read_bytes())
    assert mp3.read(path, "a") == (Block(b"ID3", id3((b"TIT2", b"\0x"))),)


def test_tags_of_version_1(tmp_path: Path) -> None:
    path = tagged.sound(tmp_path / "a.mp3")
    fields = b"TAG" + b"Old title".ljust(30, b"\0") + b"Someone".ljust(30) + bytes(30) + b"1999" + bytes(31)
    path.write_bytes(path.read_bytes() + fields)
    tags = read_metadata(path).tags()
    assert tags.texts == (("TITLE", "Old title"), ("ARTIST", "Someone"), ("DATE", "1999"))


# --- copies by FFmpeg


def test_recipe_in_the_fields_of_ffmpeg(tmp_path: Path) -> None:
    text = RECIPE.encode()
    blocks = {
        ".flac": flac.from_tags(Tags((("DESCRIPTION", RECIPE),))),
        ".ogg": ogg.from_tags(Tags((("DESCRIPTION", RECIPE),))),
        ".mp3": (Block(b"ID3", id3((b"TXXX", b"\3comment\0" + text), version=4)),),
        ".wav": (Block(b"LIST", b"INFO" + tagged.item(b"ISBJ", text)),),
    }
    containers = {".flac": flac, ".ogg": ogg, ".mp3": mp3, ".wav": wav}
    for suffix, found in blocks.items():
        path = tagged.sound(tmp_path / f"a{suffix}", 4410)
        containers[suffix].write(path, found)
        assert recipe_of(path) == recipe()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("has_comment", [False, True])
def test_recipe_survives_a_copy_by_ffmpeg(tmp_path: Path, suffix: str, has_comment: bool) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("FFmpeg is not installed")
    make = tagged.tagged if has_comment else tagged.sound
    source = copied(make(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}", RECIPE)
    copy = tmp_path / f"c{suffix}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-map", "0:a", "-c", "copy", copy], check=True)
    assert recipe_of(copy) == recipe()


# --- tempo


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((Block(b"acid", acid(8, 93.5)),), (93.5, "acid chunk")),
        ((Block(b"acid", acid(8, 93.5, kind=1)),), None),  # a single sound, no loop
        ((Block(b"acid", acid(8, float("nan"))),), None),
        ((Block(b"acid", acid(8, 5000.0)),), None),
        ((Block(b"id3 ", id3((b"TBPM", b"\x00140"))),), (140, "tag")),
        ((Block(b"id3 ", id3((b"TBPM", b"\0fast"))),), None),
        ((Block(b"LIST", INFO),), None),
    ],
)
def test_tempo(tmp_path: Path, chunks: Blocks, expected: tuple[float, str] | None) -> None:
    assert read_metadata(tagged_wav(tmp_path / "a.wav", *chunks)).tempo() == expected


def test_tempo_of_vorbis_comments(tmp_path: Path) -> None:
    ogg.write(tagged.sound(tmp_path / "a.ogg"), ogg.from_tags(Tags((("BPM", "99,5"),))))
    assert read_metadata(tmp_path / "a.ogg").tempo() == (99.5, "tag")


# --- damage


@pytest.mark.parametrize(
    "block",
    [
        Block(b"bext", bytes(100)),
        Block(b"cue ", b"\xff\xff\xff\xff" + bytes(24)),
        Block(b"smpl", smpl()[:28] + b"\xff\xff\xff\xff" + bytes(4)),
        Block(b"acid", b"1"),
        Block(b"LIST", b"INFOINAM\xff\xff\xff\x7fabc"),
        Block(b"LIST", b"adtllabl\x02\0\0\0\x01\0"),
        Block(b"LIST", b"INFO" + b"INAM\0\0\0\0" * 70_000),
        Block(b"id3 ", ID3[:-30]),
        Block(b"id3 ", b"ID3\3\0\0\0\0\0\x14TIT2\x7f\xff\xff\xff\0\0" + bytes(10)),
        Block(b"id3 ", b"MP3"),
        Block(b"\x80\x81\x82\x83", b"12"),
    ],
)
def test_damaged_chunks_are_left_out(tmp_path: Path, block: Block, caplog: pytest.LogCaptureFixture) -> None:
    path = tagged_wav(tmp_path / "a.wav", *CHUNKS[:2], block)
    result = copied(path, tmp_path / "b.wav", RECIPE)
    assert [b.content for b in wav.read(result, "b")][:2] == [CHUNKS[0].content, CHUNKS[1].content]
    assert len(wav.read(result, "b")) == 3
    assert len(caplog.messages) == 1
    assert "a.wav" in caplog.text
    assert "damaged" in caplog.text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_files(tmp_path: Path, suffix: str) -> None:
    whole = tagged.tagged(tmp_path / f"a{suffix}", 3000).read_bytes()
    path = tmp_path / f"b{suffix}"
    for n in range(0, min(len(whole), 2600), 13):
        path.write_bytes(whole[:n])
        carry.read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_damage(tmp_path: Path, suffix: str) -> None:
    """Whatever is read from a damaged file can be moved, converted and written, and the result is a whole file."""
    path, rng = tagged.tagged(tmp_path / f"a{suffix}", 3000), random.Random(1)
    if suffix == ".wav":
        wav.write(path, CHUNKS)
    whole = path.read_bytes()
    plain = {name: tagged.sound(tmp_path / f"p{name}", 3000).read_bytes() for name in SUFFIXES}
    logging.disable(logging.CRITICAL)
    try:
        for i in range(60):
            damaged = bytearray(whole)
            for _ in range(rng.choice([1, 2, 5])):
                near = rng.choice([rng.randrange(min(len(whole), 1500)), -1 - rng.randrange(min(len(whole), 1500))])
                damaged[near] = rng.choice([0, 1, 127, 128, 255])
            path.write_bytes(damaged)
            metadata = carry.read(path)
            if metadata is None:
                continue
            metadata = carry.moved(metadata, (BEFORE, CUT, None)[i % 3])
            target = SUFFIXES[i % 5]
            kind = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3", ".aiff": "AIFF"}[target]
            result = tmp_path / f"r{target}"
            result.write_bytes(plain[target])
            carry.put(result, kind, carry.prepare(kind, metadata, RECIPE, (1, 2000), RATE))
            assert sf.info(result).frames == 3000
            assert read_comment(result) == RECIPE
    finally:
        logging.disable(logging.NOTSET)


def test_sizes_beyond_the_file_allocate_nothing(tmp_path: Path) -> None:
    path = tagged.sound(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes() + b"iXML" + struct.pack("<I", 2**31) + b"abc")
    tracemalloc.start()
    try:
        metadata = carry.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert metadata is not None
    assert metadata.blocks == ()
    assert peak < 200_000


def test_sound_behind_a_header_without_length(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tagged.sound(tmp_path / "a.wav")
    content = bytearray(path.read_bytes()) + bytes(80_000)
    content[40:44] = bytes(4)  # the recorder was stopped
    path.write_bytes(content)
    assert wav.read(path, "a.wav") == ()
    assert len(caplog.messages) == 1


def test_no_more_is_carried_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tagged_wav(tmp_path / "a.wav", Block(b"aaaa", bytes(60)), Block(b"bbbb", bytes(60)), Block(b"cccc", b"1234"))
    monkeypatch.setattr(base, "LIMIT", 100)
    assert [block.name for block in wav.read(path, "a.wav")] == [b"aaaa", b"cccc"]
    assert "the chunk bbbb exceeds" in caplog.text


def test_other_kinds_of_files(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.caf", np.zeros(100), 8000)
    assert carry.read(tmp_path / "a.caf") is None
    assert read_comment(tmp_path / "a.caf") == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_with_metadata(tmp_path: Path, suffix: str) -> None:
    source = tagged.tagged(tmp_path / f"a{suffix}")
    result = copied(source, tmp_path / f"b{suffix}", RECIPE)
    before = result.read_bytes()
    for missing in (1, 800):
        with limited(resource.RLIMIT_FSIZE, len(before) - missing), pytest.raises(InputError, match="cannot write"):
            copied(source, result, RECIPE)
    assert result.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_bytes_are_replaced_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_MOVED_AT_ONCE", 3)
    whole = bytes(range(20))
    for start, stop, content in ((0, 0, b"abcde"), (5, 9, b""), (5, 9, b"x"), (20, 20, b"end"), (3, 5, b"yz")):
        (tmp_path / "a").write_bytes(whole)
        base.replace_bytes(tmp_path / "a", start, stop, content)
        assert (tmp_path / "a").read_bytes() == whole[:start] + content + whole[stop:]


def test_damaged_tags_name_themselves() -> None:
    with pytest.raises(DamagedError, match="TIT2 counts 99 bytes"):
        id3_module.parse(b"ID3\3\0\0\0\0\0\x0bTIT2\0\0\0\x63\0\0x")
