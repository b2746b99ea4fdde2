"""`vamp doctor`: it finds what is wrong, and names nobody."""

import getpass
import platform
from pathlib import Path

import pytest

from conftest import Vamp
from vampcli.cli.commands import doctor


def test_all_is_well(vamp: Vamp, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny_folder.parents[1]))
    monkeypatch.setattr(getpass, "getuser", lambda: tiny_folder.parent.name)  # a part of the model's path
    monkeypatch.setattr(platform, "node", lambda: "loaded")
    ran = vamp("doctor", "-m", tiny_folder)
    assert ran.code == 0, ran.out
    lines = ran.out.splitlines()
    names = ["system", "packages", "devices", "model", "folders", "formats", "take"]
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in names]
    assert str(tiny_folder) not in ran.out + ran.err
    assert "~/USER/tiny, sha256 " in lines[3]
    assert "HOST in" in lines[-1]
    assert ran.err == "7 of 7 checks passed\n"


def test_failures_have_cures_and_codes(vamp: Vamp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    monkeypatch.setattr(doctor, "_PACKAGES", ("numpy", "no-such-package"))
    monkeypatch.setattr(doctor, "_formats", lambda: 1 / 0)
    ran = vamp("doctor", "-m", "nix", "--json")
    found = {one["check"]: one for one in ran.facts}
    assert [name for name, one in found.items() if not one["ok"]] == ["packages", "model", "folders", "formats", "take"]
    assert ran.code == found["packages"]["exit_code"] == 3
    assert found["packages"]["text"] == "missing: no-such-package"
    assert (found["model"]["exit_code"], found["formats"]["exit_code"]) == (4, 1)
    assert "(temporary) cannot be written" in found["folders"]["text"]
    assert all(one["hint"] for one in found.values() if not one["ok"])
    assert ran.err == "2 of 7 checks passed\n"
