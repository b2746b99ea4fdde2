"""A slice of the torture."""

import os

import pytest

import torture


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_slice(capsys: pytest.CaptureFixture[str]) -> None:
    torture.main(["--takes", "30", "--kills", "2", "--pairs", "1", "--full", "2"])
    assert "none changed" in capsys.readouterr().out
