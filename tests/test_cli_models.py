"""`vamp models`, command by command, with a server on this machine."""

import errno
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from conftest import Song, Vamp, random_codec
from hubserver import COMMIT, Hub, forbid_sockets, serving, use
from published import edited
from vampcli.checkpoints import adapter_file, install, listing, published, registry, tensorfile
from vampcli.checkpoints.adapter_file import Facts
from vampcli.checkpoints.convert import dac, vampnet
from vampcli.checkpoints.download import sha256
from vampcli.checkpoints.folder import Provenance
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.weights import Parts, save_parts, weights_hash

OFFICIAL = Path(__file__).parent / "data/official"
ROOT = "/hugggof/vampnet/resolve/main/"
DAC = "/descriptinc/releases/download/0.0.1/weights.pth"
NAMES = ("codec.pth", "coarse.pth", "c2f.pth")


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with serving() as running:
        yield running


@pytest.fixture
def hub(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Small files in the published formats, one fine-tune, and a stand-in for DAC weights."""
    server.reset({ROOT + name: (OFFICIAL / name).read_bytes() for name in NAMES})
    server.files[ROOT + "loras/opera/coarse.pth"] = (OFFICIAL / "coarse_lora.pth").read_bytes()
    server.files[ROOT + "loras/opera/c2f.pth"] = server.files[ROOT + "c2f.pth"]
    server.files[DAC] = b"weights"
    use(server, tmp_path, monkeypatch)
    codec = replace(published.CODECS[0], files={"codec": server.url + DAC})
    monkeypatch.setattr(published, "CODECS", (codec, *published.CODECS[1:]))
    return server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAMP_HOME", str(tmp_path / "vamp"))
    return tmp_path / "vamp/models"


@pytest.fixture
def mine(home: Path, tiny_folder: Path) -> Path:
    """A model of the user, without a record."""
    shutil.copytree(tiny_folder, home / "mine")
    return home / "mine"


def made_dac(weights: Path, out: Path, dtype: torch.dtype, provenance: Provenance) -> None:
    assert weights.read_bytes() == b"weights"
    save_parts(out, "magnitude", Parts(random_codec(), None, None, provenance), dtype)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    """Replace the conversion by a copy of the tiny model, whose coarse part is marked with its source."""

    def made(files: dict[str, Path], out: Path, dtype: torch.dtype, provenance: Provenance) -> None:
        assert {part: path.suffix for part, path in files.items()} == dict.fromkeys(("codec", "coarse", "c2f"), ".pth")
        shutil.copytree(tiny_folder, out)
        coarse = out / "coarse.safetensors"
        mark = {"codec_hash": stored_hash(coarse), "made_of": sha256(files["coarse"])}
        tensors = load_file(coarse)  # not back by `save_file`: it writes what is in `mark` in any order
        coarse.unlink()  # or what is mapped would be written over
        tensorfile.save(coarse, tensors, mark)

    monkeypatch.setattr(vampnet, "import_published", made)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_pulled_model_is_the_published_one(vamp: Vamp, hub: Hub, home: Path) -> None:
    ran = vamp("models", "pull", "vampnet", "-y")
    assert (ran.code, ran.out) == (0, f"{home / 'vampnet'}\n"), ran.err
    assert "CC-BY-NC-SA-4.0: not for commercial use" in ran.err
    vampnet.import_published(OFFICIAL, home / "other", torch.float32)
    pulled, imported = hashes(home / "vampnet"), hashes(home / "other")
    record = json.loads((home / "vampnet/origin.json").read_text())
    for part in ("codec", "coarse", "fine"):
        assert pulled[f"{part}.safetensors"] == imported[f"{part}.safetensors"]
        assert record["files"][f"{part}.safetensors"] == pulled[f"{part}.safetensors"]
    for name in NAMES:
        content = (OFFICIAL / name).read_bytes()
        assert record["downloads"][name] == {
            "url": f"{hub.url}/hugggof/vampnet/resolve/{COMMIT}/{name}",
            "revision": COMMIT,
            "etag": hashlib.sha256(content).hexdigest(),
            "n_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    assert vamp("models", "verify", "vampnet").out == "vampnet\tintact\n"
    hub.log.clear()
    second = vamp("models", "pull", "vampnet")
    assert (second.code, second.out, second.err) == (0, ran.out, "vampnet is here already\n")
    assert hub.gets(".pth") == []


def test_fine_tune_is_a_separate_model(vamp: Vamp, hub: Hub, home: Path) -> None:
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    hub.log.clear()
    ran = vamp("models", "pull", "vampnet/opera", "-y", "--dtype", "fp16")
    assert ran.code == 0, ran.err
    assert hub.gets("main/codec.pth") == []  # the base's is in the cache
    assert set(registry.installed()) >= {"vampnet", "vampnet/opera"}
    base, opera = (load_file(registry.find(name) / "coarse.safetensors") for name in ("vampnet", "vampnet/opera"))
    assert opera["layers.0.query.weight"].dtype == torch.float16
    assert (base["layers.0.query.weight"] - opera["layers.0.query.weight"].float()).abs().max() > 0.01
    assert vamp("models", "rm", "vampnet", "-y").code == 0
    assert "vampnet/opera" in registry.installed()


def test_codec_from_a_plain_url(vamp: Vamp, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dac, "import_dac", made_dac)
    ran = vamp("models", "pull", "dac-44khz-8kbps", "-y")
    assert (ran.code, ran.out) == (0, f"{home / 'dac-44khz-8kbps'}\n"), ran.err
    assert "MIT" in ran.err
    assert not any((home.parent / "downloads").iterdir())
    assert vamp("models", "verify", "dac-44khz-8kbps").code == 0
    assert json.loads(vamp("models", "info", "dac-44khz-8kbps", "--json").out)["licence"] == "MIT"


def test_unusable_download_is_discarded(vamp: Vamp, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.rotten.add("weights.pth")
    assert vamp("models", "pull", "dac-44khz-8kbps", "-y").code == 4
    hub.rotten.clear()
    monkeypatch.setattr(dac, "import_dac", made_dac)
    assert vamp("models", "pull", "dac-44khz-8kbps", "-y").code == 0


def test_pull_needs_consent(vamp: Vamp, hub: Hub, home: Path) -> None:
    vamp("models", "pull", "vampnet").refuses(2, "CC-BY-NC-SA-4.0", "-y")
    assert (hub.log, home.exists()) == ([], False)


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 130), ("n\n", 130), ("", 130)])
def test_terminal_asks_for_consent_once(
    vamp: Vamp, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(dac, "import_dac", made_dac)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", said := Terminal())
    assert vamp("models", "pull", "dac-44khz-8kbps").code == code
    assert said.getvalue().count("[y/N]") == 1
    assert (home / "dac-44khz-8kbps").exists() == (code == 0)


@pytest.mark.usefixtures("quick")
def test_upstream_change_needs_update(vamp: Vamp, hub: Hub, home: Path) -> None:
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    hub.files[ROOT + "coarse.pth"], hub.commit = (OFFICIAL / "coarse_lora.pth").read_bytes(), "b" * 40
    before = hashes(home / "vampnet")
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    assert hashes(home / "vampnet") == before
    (home / "vampnet/coarse.safetensors").unlink()
    vamp("models", "pull", "vampnet", "-y").refuses(4, "coarse.pth is not the file pulled on 20", "--update")
    assert vamp("models", "pull", "vampnet", "-y", "--update").code == 0
    after = hashes(home / "vampnet")
    assert after["coarse.safetensors"] != before["coarse.safetensors"]
    assert after["codec.safetensors"] == before["codec.safetensors"]
    assert vamp("models", "pull", "vampnet").err == "vampnet is here already\n"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("end", "says"), [(b"", "is damaged"), (b"123456789", "is not the file that was written")])
def test_damaged_model_is_pulled_again(vamp: Vamp, hub: Hub, home: Path, end: bytes, says: str) -> None:
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    weights = home / "vampnet/fine.safetensors"
    before = hashes(home / "vampnet")["fine.safetensors"]
    weights.write_bytes(weights.read_bytes()[:-9] + end)
    assert "vamp models pull vampnet`" in vamp("models", "verify", "vampnet").err
    ran = vamp("models", "pull", "vampnet", "-y")
    assert ran.code == 0
    assert f"fine.safetensors {says}" in ran.err
    assert hashes(home / "vampnet")["fine.safetensors"] == before


@pytest.mark.usefixtures("quick")
def test_damaged_record_needs_update(vamp: Vamp, hub: Hub, home: Path) -> None:
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    (home / "vampnet/origin.json").write_text("{")
    vamp("models", "pull", "vampnet", "-y").refuses(4, "--update")
    assert vamp("models", "pull", "vampnet", "-y", "--update").code == 0
    assert vamp("models", "verify", "vampnet").code == 0


@pytest.mark.usefixtures("quick")
def test_other_precision_is_noted(vamp: Vamp, hub: Hub, home: Path) -> None:
    assert vamp("models", "pull", "vampnet", "-y", "--dtype", "bf16").code == 0
    assert "in bf16: --update stores it in fp32" in vamp("models", "pull", "vampnet").err


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"statuses": {"coarse.pth": 404}}, "not found"),
        ({"statuses": {"coarse.pth": 401}}, "HF_TOKEN"),
        ({"rotten": {"coarse.pth"}}, "damaged"),
    ],
)
def test_failed_pull_leaves_nothing(vamp: Vamp, hub: Hub, home: Path, fault: dict[str, object], says: str) -> None:
    for name, value in fault.items():
        setattr(hub, name, value)
    ran = vamp("models", "pull", "vampnet", "-y", "-q")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (4, "", 2), ran.err
    assert says.lower() in ran.err.lower()
    assert not home.exists()


@pytest.mark.parametrize(
    ("error", "code"), [(OSError(errno.ENOSPC, "No space left on device"), 3), (KeyboardInterrupt(), 130)]
)
@pytest.mark.usefixtures("quick")
def test_interrupted_conversion_keeps_the_downloads(
    vamp: Vamp, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def interrupted(files: object, out: Path, *_: object, **__: object) -> None:
        out.mkdir()
        (out / "config.json").write_text("{")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(vampnet, "import_published", interrupted)
        ran = vamp("models", "pull", "vampnet", "-y")
    assert (ran.code, ran.out) == (code, "")
    assert not home.exists()
    hub.log.clear()
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    assert hub.gets(".pth") == []


@pytest.mark.usefixtures("quick")
def test_offline_pull_uses_the_cache(vamp: Vamp, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vamp("models", "pull", "vampnet", "-y").code == 0
    before = hashes(home / "vampnet")
    forbid_sockets(monkeypatch)
    assert vamp("models", "pull", "vampnet", "--offline").code == 0
    assert vamp("models", "rm", "vampnet", "-y").code == 0
    vamp("models", "pull", "vampnet/opera", "-y", "--offline").refuses(4, "loras/opera/coarse.pth")
    assert vamp("models", "pull", "vampnet", "-y", "--offline").code == 0
    assert {**hashes(home / "vampnet"), "origin.json": before["origin.json"]} == before


def test_other_commands_open_no_socket(vamp: Vamp, mine: Path, monkeypatch: pytest.MonkeyPatch, song: Song) -> None:
    forbid_sockets(monkeypatch)
    for arguments in (["list"], ["info", "mine"], ["verify", "mine"], ["path", "mine"], ["rm", "mine", "-y"]):
        assert vamp("models", *arguments).code == 0
    assert vamp("inpaint", song(), "--start", 1, "--end", 2, "-m", "vampnet").code == 4


def test_missing_models_name_the_cure(vamp: Vamp, mine: Path, song: Song) -> None:
    for name in ("vampnet", "vampnet/opera"):
        refused = vamp("inpaint", song(), "--start", 1, "--end", 2, "-m", name)
        refused.refuses(4, f"vamp models pull {name}")
    vamp("models", "pull", "nonesuch", "-y").refuses(4, "vampnet, vampnet/birds", "dac-16khz-8kbps")
    assert vamp("models", "pull", "mine").path == mine  # needs no pull


def test_list_of_local_and_published(vamp: Vamp, mine: Path) -> None:
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in vamp("models", "list").out.splitlines()}
    assert (rows["mine"][0], rows["mine"][2:4]) == ("own", ["44100 Hz", "5"])
    facts = ["to pull", "3030.0 MB", "44100 Hz", "14", "758.7 M", "CC-BY-NC-SA-4.0"]
    assert rows["vampnet/opera"] == [*facts, "https://huggingface.co/hugggof/vampnet"]
    entry = next(entry for entry in vamp("models", "list", "--json").facts if entry["name"] == "mine")
    tensors = [load_file(mine / f"{part}.safetensors") for part in ("codec", "coarse", "fine")]
    assert entry["n_parameters"] == sum(t.numel() for own in tensors for n, t in own.items() if n != "codebooks")
    assert entry["megabytes"] == round(sum(path.stat().st_size for path in mine.glob("*.safetensors")) / 1e6, 1)
    assert entry["licence"] == "MIT"


def test_list_with_damaged_models(vamp: Vamp, mine: Path) -> None:
    for name in ("cut", "empty"):
        shutil.copytree(mine, mine.with_name(name))
    (mine.with_name("cut") / "coarse.safetensors").write_bytes((mine / "coarse.safetensors").read_bytes()[:-1])
    (mine.with_name("empty") / "fine.safetensors").write_bytes(b"")
    ran = vamp("models", "list")
    assert ran.code == 0
    assert "cut: " in ran.err
    assert "empty: " in ran.err
    assert [line.split("\t")[0] for line in ran.out.splitlines() if "\town\t" in line] == ["mine"]


def test_info_of_a_model(vamp: Vamp, mine: Path) -> None:
    (found,) = vamp("models", "info", "mine", "--json").facts
    coarse = found["coarse"]
    assert (found["frame_rate_hz"], coarse["context_frames"], coarse["context_s"]) == (57.422, 80, 1.39)
    assert found["codec"]["kind"] == "magnitude"
    assert found["codec_hash"] == stored_hash(mine / "codec.safetensors")
    assert found["model_sha256"] == registry.model_hash(registry.ModelPaths(mine))
    assert "coarse.context_frames: 80\n" in vamp("models", "info", "mine").out
    assert "licence: MIT\n" in vamp("models", "info", "dac-24khz-8kbps").out
    assert vamp("models", "info", "nonesuch").code == 4


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "folder", "not a number", "config"])
def test_verify_finds_damage(vamp: Vamp, home: Path, damage: str) -> None:
    assert vamp("models", "import", OFFICIAL, "--as", "mine", "-q").code == 0
    assert vamp("models", "verify", "mine").code == 0
    weights = home / "mine/coarse.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "flipped":
        content[-5] ^= 1
        weights.write_bytes(content)
    elif damage == "cut":
        weights.write_bytes(content[:-5])
    elif damage in ("missing", "folder"):
        weights.unlink()
        if damage == "folder":
            weights.mkdir()
    elif damage == "config":
        (home / "mine/config.json").write_text((home / "mine/config.json").read_text() + " ")
    else:
        (home / "mine/origin.json").unlink()
        with safe_open(str(weights), framework="pt") as file:
            metadata = file.metadata()
        tensors = load_file(weights)
        tensors["norm.weight"][0] = torch.nan
        save_file(tensors, weights, metadata)
    vamp("models", "verify", "mine").refuses(4, "mine")


def test_verify_continues_after_damage(vamp: Vamp, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "homes", lambda: [mine.parent])
    adapter_of(mine)
    assert vamp("models", "verify").out == "mine\tintact\nmine+jazz\tintact\n"
    (registry.adapters_home() / "jazz" / adapter_file.FILE).write_bytes(b"rubbish")
    ran = vamp("models", "verify")
    assert (ran.code, ran.out) == (4, "mine\tintact\n")
    assert "jazz/adapter.safetensors is damaged" in ran.err
    shutil.copytree(mine, mine.with_name("also"))
    (mine.with_name("also") / "codec.safetensors").write_bytes(b"rubbish")
    ran = vamp("models", "verify", "also", "mine")
    assert (ran.code, ran.out) == (4, "mine\tintact\n")


def test_random_weights_are_called_random(vamp: Vamp, home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OFFICIAL, tmp_path / "random"))
    ran = vamp("models", "import", folder, "--as", "known")
    assert "licence, if these are the published weights: CC-BY-NC-SA-4.0" in ran.err
    edited(folder / "codec.pth", lambda content: content["metadata"].update(random=True))
    ran = vamp("models", "import", folder, "--as", "noise")
    assert "licence: none, the weights are random" in ran.err.splitlines()
    facts = json.loads(vamp("models", "info", "noise", "--json").out)
    assert facts["licence"] == "none, the weights are random"
    assert facts["source"] == "random weights, which nobody trained"


def test_import_of_single_files(vamp: Vamp, home: Path, tmp_path: Path) -> None:
    (tmp_path / "opera").mkdir()
    for name in ("coarse.pth", "c2f.pth"):
        shutil.copy(OFFICIAL / name, tmp_path / "opera")
    files = [tmp_path / "opera/coarse.pth", tmp_path / "opera/c2f.pth", OFFICIAL / "codec.pth"]
    how = ("models", "import", *files, "--as", "vampnet/opera")
    assert vamp(*how, "--dtype", "bf16").path == home / "vampnet--opera"
    coarse = load_file(registry.find("vampnet/opera") / "coarse.safetensors")
    assert coarse["layers.0.key.weight"].dtype == torch.bfloat16
    vamp(*how).refuses(3, "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([OFFICIAL], 2, ""),
        ([OFFICIAL, "-o", "there", "--as", "here"], 2, ""),
        ([OFFICIAL, "--as", "../here"], 2, ""),
        ([OFFICIAL, "--as", "a+b"], 2, ""),
        ([OFFICIAL, "--as", "a--b"], 2, ""),
        ([OFFICIAL, "--as", "mini"], 2, "mini comes with vamp"),
        ([OFFICIAL, "--as", "here", "--dtype", "int8"], 2, "'int8'"),
        ([OFFICIAL / "nonesuch.pth", "--as", "here"], 3, ""),
        ([OFFICIAL / "codec.pth", "--as", "here"], 4, ""),
        ([OFFICIAL / "codec.pth", OFFICIAL / "README.md", "--as", "here"], 4, ""),
        ([OFFICIAL / "README.md", "--as", "here"], 4, ""),
    ],
)
def test_import_refusals(vamp: Vamp, home: Path, arguments: list[object], code: int, says: str) -> None:
    ran = vamp("models", "import", *arguments)
    ran.refuses(code, says)
    assert len(ran.err.strip().splitlines()) == 2 or says == "'int8'"  # the parser's message
    assert registry.installed().get("here") is None


def test_import_of_an_unreadable_file(vamp: Vamp, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(install, "sha256", unreadable)
    vamp("models", "import", OFFICIAL, "--as", "here").refuses(3, "codec.pth: Permission denied")


def test_path_of_model_and_adapter(vamp: Vamp, mine: Path) -> None:
    assert vamp("models", "path", "mine").out == f"{mine}\n"
    jazz = adapter_of(mine)
    assert vamp("models", "path", "mine+jazz").out == f"{jazz}\n"
    assert vamp("models", "path", "nonesuch").code == 4


def adapter_of(mine: Path) -> Path:
    folder = registry.adapters_home() / "jazz"
    codec_hash = stored_hash(mine / "codec.safetensors")
    adapter_file.save(folder, Facts("jazz", "mine", codec_hash, weights_hash(mine), "MIT", 8), {})
    return folder


@pytest.mark.parametrize("damaged", [False, True])
def test_rm_of_model_and_adapter(vamp: Vamp, mine: Path, damaged: bool) -> None:
    jazz = adapter_of(mine)
    vamp("models", "rm", "mini+jazz", "-y").refuses(4, "mine+jazz")
    if damaged:
        (jazz / adapter_file.FILE).write_bytes(b"rubbish")
        (mine / "config.json").write_text("rubbish")
    assert vamp("models", "rm", "mine+jazz").code == 2
    assert vamp("models", "rm", "mine+jazz", "-y").code == 0
    assert (jazz.exists(), mine.exists()) == (False, True)
    assert vamp("models", "rm", "mine", "-y").code == 0
    assert list(mine.parent.iterdir()) == []
    assert vamp("models", "rm", "mine", "-y").code == 4


def test_rm_of_a_link(vamp: Vamp, home: Path, tiny_folder: Path) -> None:
    home.mkdir(parents=True)
    (home / "link").symlink_to(tiny_folder)
    assert vamp("models", "rm", "link", "-y").code == 0
    assert not (home / "link").is_symlink()
    assert (tiny_folder / "config.json").exists()


def test_rm_keeps_embedded_models(
    vamp: Vamp, home: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "homes", lambda: [home, tmp_path / "embedded"])
    shutil.copytree(tiny_folder, tmp_path / "embedded/mini")
    assert listing.of_model("mini", tmp_path / "embedded/mini").kind == "embedded"
    for name in ("mini", tmp_path / "embedded/mini"):
        vamp("models", "rm", name, "-y").refuses(3)
    assert (tmp_path / "embedded/mini/config.json").exists()
