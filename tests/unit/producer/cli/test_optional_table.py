"""`--from-warehouse` with and without a table, and what it goes with."""

from __future__ import annotations

from typing import Any

import pytest

from producer.cli.declarations.optional_table import with_table
from producer.cli.sync_options import SyncOptions, build_requests
from worker.errors import ConfigurationError
from worker.settings import load_settings


def test_a_table_may_be_left_out() -> None:
    auto = "--from-warehouse=auto"
    for words, expected in {
        ("spa_1", "--from-warehouse"): ["spa_1", auto],
        ("--from-warehouse", "spa_1"): [auto, "spa_1"],
        ("--from-warehouse", "--json", "spa_1"): [auto, "--json", "spa_1"],
        ("--from-warehouse", "segment.traits", "spa_1"): ["--from-warehouse", "segment.traits", "spa_1"],
        ("--from-warehouse=x",): ["--from-warehouse=x"],
        ("--", "--from-warehouse"): ["--", "--from-warehouse"],
    }.items():
        assert with_table(words) == expected, words


def test_a_table_and_its_columns_make_a_request() -> None:
    columns = "id=user_id, name=trait,value=v"
    (request,) = build_requests(load_settings(), SyncOptions(("spa_1",), from_warehouse="crm.t", columns=columns))
    assert request.warehouse == "crm.t"
    assert request.warehouse_columns
    assert request.warehouse_columns.given == {"id": "user_id", "name": "trait", "value": "v"}


def test_options_that_do_not_go_with_a_table_are_refused_by_name() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"from_files": ("x.csv",)}, "exclude each other"),
        ({"dialect": "inline"}, "--dialect says how Segment is read, and --from-warehouse reads nothing"),
        ({"strategy": "fan-out"}, "--strategy fan-out"),
        ({"space_ids": ("spa_1", "spa_2")}, "--from-warehouse holds the profiles of one space"),
        ({"from_warehouse": "a.b.c.d"}, "must be a table"),
        ({"from_warehouse": None, "columns": "id=a"}, "needs a table"),
        ({"columns": "id"}, "roles with their columns"),
        ({"columns": "id=a,id=b"}, "roles with their columns"),
        ({"columns": "key=a"}, "the roles are id, name, value"),
        ({"columns": "id=a,name=b"}, "name and value go together"),
    )
    for options, part in cases:
        with pytest.raises(ConfigurationError) as refused:
            build_requests(load_settings(), SyncOptions(**{"space_ids": ("spa_1",), "from_warehouse": "t", **options}))
        assert part in str(refused.value), options
