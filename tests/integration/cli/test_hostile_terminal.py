"""Values of profiles and of personas on a real terminal: nothing that steers it, or deceives its reader, reaches it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producer.sandbox import Sandbox, SandboxOptions
from tests.support.processes.command_line import Terminal
from tests.support.processes.workers import environment

CLIPBOARD, CLEAR, BIDI, C1 = "\x1b]52;c;b3duZWQ=\x1b\\", "\x1b[2J", "\u202e", "\x9b2J"

# What rich itself writes: colours, lines of the live display, the cursor.
_OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*A|2K|1?G)|\r")


def steering(shown: str) -> set[str]:
    """Characters that are left of what a terminal was sent without our own sequences."""
    return {char for char in _OWN.sub("", shown) if not char.isprintable() and char not in "\n\t"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({})) as box:
        yield box


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A quarter of the profiles have a hostile industry."""
    path = tmp_path / "profiles.ndjson"
    hostile = [f"Sa{CLIPBOARD}aS", f"Retail{CLEAR}", f"{BIDI}yticilbup{C1}", "SaaS"]
    traits = {"ltv": 1200, "purchase_count": 8, "churn_risk": 0.05}
    lines = [
        json.dumps({"id": f"use_{i}", "traits": {**traits, "industry": hostile[i % 4], "plan": f"pro\x00{i % 2}"}})
        for i in range(80)
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("columns", [60, 200])
async def test_a_preview_shows_hostile_values_without_control_sequences(
    sandbox: Sandbox, file: str, columns: int
) -> None:
    env = environment(None, sandbox)
    terminal = await Terminal.start("preview", "spa_1", "--details", "--from-file", file, env=env, columns=columns)
    done = await terminal.end()
    assert done.code == 0
    assert "Retail" in done.out
    assert steering(done.out) == set()
    assert not any(sequence in done.out for sequence in ("\x1b]", CLEAR, BIDI, C1))


async def test_an_interactive_sync_asks_without_control_sequences(sandbox: Sandbox, file: str) -> None:
    env = environment(None, sandbox)
    terminal = await Terminal.start("sync", "spa_1", "--from-file", file, env=env, columns=120)
    await terminal.until("[y/N]")
    assert "High Value" in terminal.shown
    terminal.type("y\n")
    done = await terminal.end()
    assert done.code == 0
    assert steering(done.out) == set()
    [persona] = sandbox.personas
    assert "\\u0000" not in json.dumps(persona.body)
    assert "\\u001b" not in json.dumps(persona.body)


async def test_what_a_persona_says_at_mavera_is_printable_too(sandbox: Sandbox, file: str, tmp_path: Path) -> None:
    env = environment(None, sandbox)
    made = await (await Terminal.start("sync", "spa_1", "--from-file", file, "--yes", env=env, columns=120)).end()
    assert made.code == 0
    [persona] = sandbox.personas
    persona.fields["description"] = f"{CLIPBOARD}{CLEAR}{BIDI}{C1}mine {persona.fields['description']}"
    persona.fields["demographic"] = {f"indus{CLEAR}": [CLIPBOARD]}
    env["SEGMENT_PERSONAS_HOME"] = str(tmp_path / "state")  # without a record, the plan shows what Mavera has
    terminal = await Terminal.start("preview", "spa_1", "--details", "--from-file", file, env=env, columns=120)
    done = await terminal.end()
    assert done.code == 0
    assert "mine" in done.out
    assert steering(done.out) == set()
