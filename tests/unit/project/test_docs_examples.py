"""Examples in README and docs/ use what exists: Python code, methods, and keys of JSON documents."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest

from producer import Sync, SyncClient
from tests.support.project.docs import PAGES, ROOT, code_blocks, page, table


@pytest.mark.parametrize("block", code_blocks(page("python-api"), "python") + code_blocks(PAGES["README.md"], "python"))
def test_a_python_example_compiles_and_uses_what_exists(block: str) -> None:
    names: dict[str, Any] = {}
    imports = [line for line in block.splitlines() if line.startswith(("import ", "from "))]
    exec("\n".join(imports), names)
    tree = ast.parse(block)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "client"
    }
    assert used <= set(dir(SyncClient))
    assert used or "run_sync" in names
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "SyncRequest":
            names["SyncRequest"](**{keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords})
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sync":
            assert node.attr in dir(Sync) or node.attr in Sync.__dataclass_fields__


def test_the_table_of_client_methods_is_complete() -> None:
    listed = {name for row in table(page("python-api"), "| method | does |") for name in re.findall(r"`(\w+)`", row[0])}
    public = {name for name in vars(SyncClient) if not name.startswith("_")}
    assert listed == public - {"close", "from_pool"}


JSON_BLOCKS = [block for text in PAGES.values() for block in code_blocks(text, "json")]


@pytest.mark.parametrize("block", JSON_BLOCKS)
def test_a_json_example_has_only_keys_that_the_program_writes(block: str) -> None:
    folders = [ROOT / "worker" / "documents", ROOT / "worker" / "webhooks"]
    source = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    keys: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            keys.update(value)
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(json.loads(block))
    assert keys
    assert {key for key in keys if f'"{key}"' not in source} == set()
