"""The command line in this process."""

from __future__ import annotations

import sys

import pytest

from producer.cli import app


def run_in_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str, **env: str
) -> tuple[int, str, str]:
    """The whole program in this process: exit code, standard output, standard error."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["segment-personas", *arguments])
    with pytest.raises(SystemExit) as end:
        app.main()
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert isinstance(end.value.code, int)
    return end.value.code, out, err
