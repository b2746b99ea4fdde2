"""Downloads from a server on this machine: whole files or none."""

import hashlib
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import limited
from hubserver import COMMIT, Hub, forbid_sockets, serving, use
from vampcli.checkpoints import download, published
from vampcli.checkpoints.download import Download
from vampcli.checkpoints.published import PublishedModel, find_published
from vampcli.errors import InputError, ModelError

ROOT = "/hugggof/vampnet/resolve/main/"
PLAIN = "/releases/0.0.1/weights.pth"


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with serving() as running:
        yield running


@pytest.fixture
def hub(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Four files of 300 kB."""
    rng = random.Random(0)
    names = [ROOT + name for name in ("codec.pth", "coarse.pth", "c2f.pth")] + [PLAIN]
    server.reset({name: rng.randbytes(300_000) for name in names})
    use(server, tmp_path, monkeypatch)
    return server


@pytest.fixture(params=["hub", "plain"])
def source(request: pytest.FixtureRequest, hub: Hub) -> PublishedModel:
    return published.VAMPNET if request.param == "hub" else plain(hub)


def plain(hub: Hub) -> PublishedModel:
    return replace(published.CODECS[0], files={"codec": hub.url + PLAIN})


def fetch(source: PublishedModel, tmp_path: Path, offline: bool = False) -> dict[str, Download]:
    return download.fetch(source, tmp_path / "downloads", offline)


def assert_whole(got: dict[str, Download], hub: Hub, source: PublishedModel) -> None:
    for part, path in source.files.items():
        content = hub.files[ROOT + path if source.repo else PLAIN]
        assert got[part].path.read_bytes() == content
        assert got[part].sha256 == hashlib.sha256(content).hexdigest()
        assert got[part].etag.strip('"') in (got[part].sha256, "")
        assert got[part].n_bytes == len(content)


def assert_nothing_half_made(tmp_path: Path) -> None:
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in (".incomplete", ".lock")]
    assert [path.name for path in left if path.name not in ("CACHEDIR.TAG", "main", "version.txt")] == []
    assert list(tmp_path.glob("downloads/*")) == []


def end(source: PublishedModel) -> str:
    return next(iter(source.files.values())).rpartition("/")[2]


def test_second_fetch_downloads_nothing(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    first = fetch(source, tmp_path)
    assert_whole(first, hub, source)
    assert all(got.etag for got in first.values())
    hub.log.clear()
    assert_whole(fetch(source, tmp_path), hub, source)
    assert hub.gets(".pth") == []


def test_repository_file_states_its_commit(hub: Hub, tmp_path: Path) -> None:
    got = fetch(published.VAMPNET, tmp_path)["c2f"]
    assert (got.revision, got.url) == (COMMIT, f"{hub.url}/hugggof/vampnet/resolve/{COMMIT}/c2f.pth")


def test_cache_without_links(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda *_: False)
    got = fetch(published.VAMPNET, tmp_path)
    assert_whole(got, hub, published.VAMPNET)
    assert not got["codec"].path.is_symlink()


def test_cut_hub_download_resumes(hub: Hub, tmp_path: Path) -> None:
    hub.cuts["codec.pth"] = [100_000, 50_000]
    assert_whole(fetch(published.VAMPNET, tmp_path), hub, published.VAMPNET)
    assert [asked.partition("-")[0] for asked in hub.gets("codec.pth")] == ["", "bytes=100000", "bytes=150000"]


def test_connection_that_never_holds(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    hub.cuts[end(source)] = [0] * 50
    with pytest.raises(ModelError, match=end(source)) as caught:
        fetch(source, tmp_path)
    assert "again" in caught.value.hint
    assert_nothing_half_made(tmp_path)
    hub.cuts.clear()
    assert_whole(fetch(source, tmp_path), hub, source)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_interruption_leaves_no_half_file(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def interrupted(*_: Any, **__: Any) -> Iterator[bytes]:
        yield bytes(1000)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("requests.Response.iter_content", interrupted)
        with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt):
            fetch(plain(hub), tmp_path)
    assert_nothing_half_made(tmp_path)
    assert_whole(fetch(plain(hub), tmp_path), hub, plain(hub))


def test_bars_on_request(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download.fetch(plain(hub), tmp_path / "downloads", bars=True)
    assert "100%" in capsys.readouterr().err


def test_damaged_file_is_fetched_afresh(hub: Hub, tmp_path: Path) -> None:
    hub.rotten.add("coarse.pth")
    with pytest.raises(ModelError, match=r"coarse\.pth .* damaged"):
        fetch(published.VAMPNET, tmp_path)
    hub.rotten.clear()
    assert_whole(fetch(published.VAMPNET, tmp_path), hub, published.VAMPNET)


@pytest.mark.parametrize(
    ("status", "says"), [(404, "not found"), (401, r"refuses .* \(401\)"), (403, r"refuses .* \(403\)"), (503, "503")]
)
def test_refusal_of_the_server(hub: Hub, source: PublishedModel, tmp_path: Path, status: int, says: str) -> None:
    hub.statuses[end(source)] = status
    with pytest.raises(ModelError, match=says) as caught:
        fetch(source, tmp_path)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_no_network(hub: Hub, source: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as gone:
        pass
    use(gone, tmp_path, monkeypatch)
    with pytest.raises(ModelError, match="cannot fetch") as caught:
        fetch(source if source.repo else plain(gone), tmp_path)
    assert "network" in caught.value.hint


def test_cache_serves_without_a_network(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(published.VAMPNET, tmp_path)
    with serving() as gone:
        pass
    use(gone, tmp_path, monkeypatch)
    assert_whole(fetch(published.VAMPNET, tmp_path), hub, published.VAMPNET)


@pytest.mark.parametrize("by", ["option", "variable"])
def test_offline_opens_no_socket(
    hub: Hub, source: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "variable":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with monkeypatch.context() as patch:
        forbid_sockets(patch)
        with pytest.raises(ModelError, match=rf"{end(source)} is not in .* offline"):
            fetch(source, tmp_path, offline=by == "option")
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        fetch(source, tmp_path)
    forbid_sockets(monkeypatch)
    assert_whole(fetch(source, tmp_path, offline=by == "option"), hub, source)


def test_forbidden_sockets_fail_a_fetch(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        forbid_sockets(patch)
        with pytest.raises((ModelError, AssertionError), match="a socket was opened"):
            fetch(source, tmp_path)


def test_environment_holds_and_nothing_is_drawn(hub: Hub, tmp_path: Path) -> None:
    code = f"""
from dataclasses import replace
from pathlib import Path
from vampcli.checkpoints import download, published
plain = replace(published.CODECS[0], files={{"codec": {hub.url + PLAIN!r}}})
for source in (published.VAMPNET, plain):
    print(download.fetch(source, Path({str(tmp_path / "downloads")!r}))["codec"].path)
"""
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    first = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert first.stderr == ""
    assert Path(first.stdout.split()[0]).is_relative_to(tmp_path / "hf/hub")
    offline = env | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}
    again = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert (again.stdout, again.stderr) == (first.stdout, "")


def test_disk_that_gets_full(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    with limited(resource.RLIMIT_FSIZE, 200_000), pytest.raises(InputError, match="cannot write"):
        fetch(source, tmp_path)
    assert_nothing_half_made(tmp_path)
    assert_whole(fetch(source, tmp_path), hub, source)


def test_full_disk_is_found_early(
    hub: Hub, source: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 200_000})())
    with pytest.raises(InputError, match="free in"):
        fetch(source, tmp_path)
    assert hub.gets(".pth") == []


@pytest.mark.parametrize("name", ["vampnet", "vampnet/opera", "vampnet/never-seen", "dac-16khz-8kbps"])
def test_names_of_published_models(name: str) -> None:
    source = find_published(name)
    assert source is not None
    assert source.name == name
    for other in ("mini", "vampnet/", "vampnet/../x", "vampnet/a/b", "vampnet/a--b", "/vampnet", "dac"):
        assert find_published(other) is None
