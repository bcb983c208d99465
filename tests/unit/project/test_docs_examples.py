"""Examples in README and docs/ use what exists: Python code, methods, and keys of JSON documents."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from producer import Sync, SyncClient
from tests.support.project.docs import PAGES, ROOT, code_blocks, page, table

PYTHON_BLOCKS = [block for text in PAGES.values() for block in code_blocks(text, "python") if "from producer" in block]


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_a_python_example_compiles_and_uses_what_exists(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, attributes in SCHEDULERS.items():
        monkeypatch.setitem(sys.modules, module, cast("ModuleType", SimpleNamespace(**dict.fromkeys(attributes))))
    names: dict[str, Any] = {}
    tree = ast.parse(block)
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    exec("\n".join(imports), names)
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
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "run_sync":
            keywords = {str(keyword.arg): keyword.value for keyword in node.keywords}
            inspect.signature(names["run_sync"]).bind(*node.args, **keywords)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).startswith(("sync", "run_sync(")):
            assert node.attr in dir(Sync) or node.attr in Sync.__dataclass_fields__


SCHEDULERS = {
    "airflow": ["sdk"],
    "airflow.sdk": ["dag", "task"],
    "dagster": ["AssetExecutionContext", "MaterializeResult", "asset"],
}
"""What examples import of libraries that are not installed here."""


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
