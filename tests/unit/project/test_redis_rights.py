"""The commands of the Lua scripts, the probe that tries them, and the documented rights name the same commands."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LUA = ROOT / "worker" / "store" / "lua"


def used_commands() -> set[str]:
    """What the scripts call by name."""
    scripts = (path.read_text() for path in LUA.rglob("*.lua"))
    return {name for script in scripts for name in re.findall(r"redis\.p?call\(\s*'([A-Z]+)'", script)}


def test_the_documented_rights_allow_every_command_of_a_script() -> None:
    block = re.search(r"^ACL SETUSER .*?```", (ROOT / "docs" / "deployment.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block
    allowed = {name.upper() for name in re.findall(r"\+([a-z]+)", block[0])}
    assert len(used_commands()) > 20
    assert used_commands() - allowed == set()


def test_the_probe_tries_every_command_of_a_script() -> None:
    tried = set(re.findall(r"\{ '([A-Z]+)'", (LUA / "connection" / "probe.lua").read_text()))
    assert used_commands() - tried == set()
