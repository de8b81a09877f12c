"""``python -m pytest_memreturn doctor``: what this machine can measure."""

from __future__ import annotations

import json

import pytest

from pytest_memreturn import _measure
from pytest_memreturn.__main__ import main
from pytest_memreturn._errors import ReadingUnavailableError
from pytest_memreturn._instruments import Instruments
from pytest_memreturn.testing import Script, ScriptedProbe


@pytest.fixture(autouse=True)
def _scripted_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings that are played, and can be had of any probe but the linux one."""

    def instruments(probe: str) -> Instruments:
        if probe == "linux":
            raise ReadingUnavailableError("the linux probe cannot read beos")
        return ScriptedProbe([Script(50 << 20)]).instruments()

    monkeypatch.setattr(_measure, "instruments", instruments)


def test_what_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """By topic, with the noise that was measured; status 0 where tests can be judged."""
    assert main(["doctor", "--width", "80"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    topics = [line for line in lines if line.isalpha()]
    assert topics == ["machine", "allocators", "readings", "noise", "explaining", "extras"]
    assert any("40 empty windows retained 0 B" in line for line in lines)
    assert any(line.startswith("Tests are judged here") for line in lines)


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, and nothing beside it."""
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["judges"] is True
    assert found["noise"]["call"]["windows"] == 40


def test_nothing_can_be_judged(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, with the reason and what is known all the same."""
    assert main(["doctor", "--probe", "linux"]) == 1
    shown = capsys.readouterr().out
    assert "x probe       none: the linux probe cannot read beos" in shown
    assert "\nTests are UNJUDGED here, for what is marked x: probe.\n" in shown
