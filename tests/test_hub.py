"""Downloads, against a server on this machine: what arrives is what is there, or nothing."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubserver import COMMIT, Hub, _Handler, forbid_sockets, serving, small_disk, use
from vampcli.checkpoints import download, published, web
from vampcli.checkpoints.published import PublishedModel, find_published
from vampcli.checkpoints.web import Download
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
    server.files = {ROOT + name: rng.randbytes(300_000) for name in ("codec.pth", "coarse.pth", "c2f.pth")}
    server.files[PLAIN] = rng.randbytes(300_000)
    server.commit, server.cuts, server.statuses, server.rotten = COMMIT, {}, {}, set()
    server.log.clear()
    use(server, tmp_path, monkeypatch)
    return server


@pytest.fixture
def plain(hub: Hub) -> PublishedModel:
    return replace(published.CODECS[0], files={"codec": hub.url + PLAIN})


def fetch(source: PublishedModel, tmp_path: Path, offline: bool = False) -> dict[str, Download]:
    return download.fetch(source, tmp_path / "downloads", offline)


def contents(hub: Hub, source: PublishedModel) -> dict[str, bytes]:
    return {part: hub.files[ROOT + path if source.repo else PLAIN] for part, path in source.files.items()}


def assert_whole(got: dict[str, Download], hub: Hub, source: PublishedModel) -> None:
    for part, content in contents(hub, source).items():
        assert got[part].path.read_bytes() == content
        assert got[part].sha256 == got[part].etag.strip('"') == hashlib.sha256(content).hexdigest()
        assert got[part].n_bytes == len(content)


@pytest.fixture(params=["hub", "plain"])
def source(request: pytest.FixtureRequest, plain: PublishedModel) -> PublishedModel:
    return published.VAMPNET if request.param == "hub" else plain


def end(source: PublishedModel) -> str:
    return next(iter(source.files.values())).rpartition("/")[2]


def test_first_pull_brings_every_file_and_a_second_brings_none(
    hub: Hub, source: PublishedModel, tmp_path: Path
) -> None:
    assert_whole(fetch(source, tmp_path), hub, source)
    hub.log.clear()
    assert_whole(fetch(source, tmp_path), hub, source)
    assert hub.gets(".pth") == []


def test_files_of_a_repository_say_which_commit_they_are_of(hub: Hub, tmp_path: Path) -> None:
    got = fetch(published.VAMPNET, tmp_path)["c2f"]
    assert (got.revision, got.url) == (COMMIT, f"{hub.url}/hugggof/vampnet/resolve/{COMMIT}/c2f.pth")


def test_a_cut_connection_is_resumed(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    hub.cuts[end(source)] = [100_000, 50_000]
    assert_whole(fetch(source, tmp_path), hub, source)
    assert [asked.partition("-")[0] for asked in hub.gets(end(source))] == ["", "bytes=100000", "bytes=150000"]


def test_a_connection_that_never_holds_is_given_up(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    hub.cuts[end(source)] = [0] * 50
    with pytest.raises(ModelError, match=end(source)) as caught:
        fetch(source, tmp_path)
    assert "again" in caught.value.hint
    assert not list(tmp_path.rglob("weights.pth"))


def test_a_plain_file_is_resumed_by_a_later_run(
    hub: Hub, plain: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(web, "TRIES", 1)
        hub.cuts["weights.pth"] = [100_000, 0]
        with pytest.raises(ModelError):
            fetch(plain, tmp_path)
    assert_whole(fetch(plain, tmp_path), hub, plain)
    assert hub.gets("weights.pth")[-1] == "bytes=100000-"


def test_a_plain_file_that_changed_between_two_halves_is_fetched_from_its_start(
    hub: Hub, plain: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(web, "TRIES", 1)
        hub.cuts["weights.pth"] = [100_000, 0]
        with pytest.raises(ModelError):
            fetch(plain, tmp_path)
    hub.files[PLAIN] = bytes(200_000)
    assert_whole(fetch(plain, tmp_path), hub, plain)


def test_a_plain_file_that_changed_is_not_pieced_together_after_a_kill(
    hub: Hub, plain: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = Path.open

    def killed(self: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if mode == "wb":
            raise KeyboardInterrupt
        return open_(self, mode, *rest, **named)

    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/0.0.1-weights.pth.part").write_bytes(bytes(100_000))
    (tmp_path / "downloads/0.0.1-weights.pth.etag").write_text('"of something else"')
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(plain, tmp_path)
    assert_whole(fetch(plain, tmp_path), hub, plain)


def test_a_server_that_begins_anew_after_each_cut_is_given_up(
    hub: Hub, plain: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.cuts["weights.pth"] = [100_000] * 50
    monkeypatch.setattr(_Handler, "send_header", without(_Handler.send_header, "ETag"))
    with pytest.raises(ModelError, match=r"weights\.pth"):
        fetch(plain, tmp_path)
    assert hub.gets("weights.pth") == [""] * (1 + web.TRIES)


def test_a_file_of_unknown_length_is_refused_since_a_cut_would_not_show(
    hub: Hub, plain: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.cuts["weights.pth"] = [100_000]
    monkeypatch.setattr(_Handler, "send_header", without(_Handler.send_header, "Content-Length"))
    with pytest.raises(ModelError, match="how long"):
        fetch(plain, tmp_path)
    assert not list(tmp_path.rglob("*.pth"))


def without(send: Callable[[Any, str, str], None], left_out: str) -> Callable[[Any, str, str], None]:
    return lambda handler, name, value: None if name == left_out else send(handler, name, value)


def test_of_two_who_want_a_plain_file_at_once_one_waits(hub: Hub, plain: PublishedModel, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        for got in pool.map(lambda _: fetch(plain, tmp_path), range(2)):
            assert_whole(got, hub, plain)
    assert len(hub.gets("weights.pth")) == 1


@pytest.mark.parametrize("n_bytes", [300_000, 400_000])
def test_a_plain_file_with_nothing_left_to_fetch_is_fetched_from_its_start(
    hub: Hub, plain: PublishedModel, tmp_path: Path, n_bytes: int
) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/0.0.1-weights.pth.part").write_bytes(bytes(n_bytes))
    (tmp_path / "downloads/0.0.1-weights.pth.etag").write_text(web.etag(hub.url + PLAIN))
    assert_whole(fetch(plain, tmp_path), hub, plain)


def test_a_file_that_arrives_damaged_is_refused_and_fetched_afresh(hub: Hub, tmp_path: Path) -> None:
    hub.rotten.add("coarse.pth")
    with pytest.raises(ModelError, match=r"coarse\.pth .* damaged"):
        fetch(published.VAMPNET, tmp_path)
    hub.rotten.clear()
    assert_whole(fetch(published.VAMPNET, tmp_path), hub, published.VAMPNET)


@pytest.mark.parametrize(
    ("status", "says"), [(404, "not found"), (401, r"refuses .* \(401\)"), (403, r"refuses .* \(403\)"), (503, "503")]
)
def test_what_the_server_refuses_is_said(
    hub: Hub, source: PublishedModel, tmp_path: Path, status: int, says: str
) -> None:
    hub.statuses[end(source)] = status
    with pytest.raises(ModelError, match=says) as caught:
        fetch(source, tmp_path)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_no_network_is_said(hub: Hub, source: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as gone:
        pass
    use(gone, tmp_path, monkeypatch)
    nowhere = source if source.repo else replace(source, files={"codec": gone.url + PLAIN})
    with pytest.raises(ModelError, match="cannot fetch") as caught:
        fetch(nowhere, tmp_path)
    assert "network" in caught.value.hint


def test_without_a_network_the_cache_will_do(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        with pytest.raises(ModelError, match="offline"):
            fetch(source, tmp_path, offline=by == "option")
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        fetch(source, tmp_path)
    forbid_sockets(monkeypatch)
    assert_whole(fetch(source, tmp_path, offline=by == "option"), hub, source)


def test_environment_variables_of_the_hub_hold_and_nothing_is_drawn_off_a_terminal(hub: Hub, tmp_path: Path) -> None:
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    code = "from vampcli.checkpoints import download, published\n"
    code += "print(download.fetch(published.VAMPNET, None, progress=None)['codec'].path)"
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert Path(ran.stdout.strip()).is_relative_to(tmp_path / "hf/hub")
    offline = env | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}
    again = subprocess.run([sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True)
    assert (again.stdout, again.stderr) == (ran.stdout, "")


def test_sockets_are_forbidden_where_a_test_says_so(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        forbid_sockets(patch)
        with pytest.raises((ModelError, AssertionError), match="a socket was opened"):
            fetch(source, tmp_path)


def test_a_disk_that_gets_full_is_said_and_nothing_half_made_stays(
    hub: Hub, source: PublishedModel, tmp_path: Path
) -> None:
    with small_disk(200_000), pytest.raises(InputError, match="cannot write"):
        fetch(source, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix == ".pth"]
    assert_whole(fetch(source, tmp_path), hub, source)


def test_a_disk_that_is_full_already_is_said_before_anything_is_fetched(
    hub: Hub, source: PublishedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 200_000})())
    with pytest.raises(InputError, match="free in"):
        fetch(source, tmp_path)
    assert not list(tmp_path.rglob("*.pth"))


def test_changes_show_before_anything_is_fetched(hub: Hub, source: PublishedModel, tmp_path: Path) -> None:
    before = {source.files[part]: got.etag for part, got in fetch(source, tmp_path).items()}
    assert download.etags(source) == before
    for address in hub.files:
        hub.files[address] = b"new"
    assert not set(download.etags(source).values()) & set(before.values())


@pytest.mark.parametrize("name", ["vampnet", "vampnet/opera", "vampnet/never-seen", "dac-16khz-8kbps"])
def test_published_models_have_names(name: str) -> None:
    source = find_published(name)
    assert source is not None
    assert source.name == name


@pytest.mark.parametrize("name", ["mini", "vampnet/", "vampnet/../x", "vampnet/a/b", "vampnet/a--b", "/vampnet", "dac"])
def test_other_names_are_nobodys(name: str) -> None:
    assert find_published(name) is None
