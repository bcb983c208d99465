"""What DuckDB reads of files: every format gives the same statistics, and what is wrong is named without a value."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.scenarios.checks import same_statistics
from worker.clusters import RECIPE, Aggregate, fold
from worker.errors import ApiError
from worker.segment.file_shards import EngineLimits, FileAccess, ReadOptions, Shard, ShardEngine
from worker.segment.file_shards.shard_reader import ShardReader

PROFILES: list[dict[str, object]] = [
    {"ltv": 450.5 + i, "purchase_count": i % 9, "churn_risk": round(i % 50 / 50, 2), "industry": "SaaS", "plan": "pro"}
    for i in range(60)
]
CASES = Path(__file__).parents[4] / "cases"


@pytest.fixture
def engine() -> ShardEngine:
    return ShardEngine(FileAccess(None, anywhere=True), EngineLimits(256, 2))


async def read(engine: ShardEngine, path: Path, take: int | None = None, sample: float | None = None) -> Aggregate:
    shards = await engine.list_shards(str(path))
    return await engine.aggregate(shards, ReadOptions(RECIPE, 1e9, sample, ()), take)


def lines(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_all(folder: Path) -> list[Path]:
    """The same profiles in every format that can be read."""
    objects = [{"id": f"u{i}", "traits": traits} for i, traits in enumerate(PROFILES)]
    texts = [{"id": f"u{i}", "traits": json.dumps(traits)} for i, traits in enumerate(PROFILES)]
    rows = [{"ID": f"u{i}", "LTV": traits["ltv"], **_upper(traits)} for i, traits in enumerate(PROFILES)]
    tall = [
        {"canonical_segment_id": f"u{i}", "name": name, "value": str(value)}
        for i, traits in enumerate(PROFILES)
        for name, value in traits.items()
    ]
    (folder / "objects.json").write_bytes(lines(*objects))
    (folder / "objects").write_bytes(gzip.compress(lines(*objects)))
    (folder / "texts.ndjson").write_bytes(lines(*texts))
    (folder / "rows.ndjson").write_bytes(lines(*rows))
    (folder / "tall.jsonl").write_bytes(lines(*tall))
    source = f"read_json('{folder}/objects.json')"
    flat = f"SELECT id, traits.* FROM {source}"
    traits_map = "from_json(to_json(traits), '\"MAP(VARCHAR, JSON)\"')"
    for name, select, options in (
        ("flat.csv", flat, ""),
        ("flat.csv.gz", flat, ""),
        ("semi.tsv.zst", flat, "DELIMITER ';', HEADER, FORMAT csv, COMPRESSION zstd"),
        ("flat.parquet", flat, ""),
        ("struct.parquet", f"FROM {source}", ""),
        ("map.parquet", f"SELECT id, {traits_map} AS traits FROM {source}", ""),
        ("text.parquet", f"SELECT id, CAST(to_json(traits) AS VARCHAR) AS traits FROM {source}", ""),
        ("lines.ndjson.zst", f"FROM {source}", "FORMAT json, COMPRESSION zstd"),
    ):
        duckdb.sql(f"COPY ({select}) TO '{folder}/{name}' {f'({options})' if options else ''}")
    return sorted(folder.iterdir())


def _upper(traits: Mapping[str, object]) -> dict[str, object]:
    return {name.upper(): value for name, value in traits.items()}


async def test_every_format_gives_what_the_fold_gives(engine: ShardEngine, tmp_path: Path) -> None:
    expected = Aggregate()
    fold(expected, [{"traits": traits} for traits in PROFILES], RECIPE, as_of=1e9)
    paths = write_all(tmp_path)
    assert len(paths) == 13
    for path in paths:
        found = await read(engine, path)
        assert same_statistics(found.to_bytes(), expected.to_bytes()), path.name
        entries = await engine.entries((await engine.list_shards(str(path)))[0], 7)
        assert len(entries) == 7
        for entry in entries:
            assert isinstance(entry, dict)
            assert {name.lower() for name in entry["traits"]} == PROFILES[0].keys(), path.name


async def test_lines_count_as_they_do_in_the_fold(engine: ShardEngine, tmp_path: Path) -> None:
    path = tmp_path / "lines.ndjson"
    row = {"id": "a", "traits": {"ltv": 600, "churn_risk": 0.1}}
    path.write_bytes(
        b"\xef\xbb\xbf"
        + lines(row, {**row, "merged_to": "b"}, {**row, "merged_to": ""}, [1], None, {"traits": 5}, {})
        + b"\n  \nnot json\n"
        + json.dumps(row).encode()
    )
    found = await read(engine, path)
    assert (found.profiles, found.profile_errors, found.merged) == (5, 3, 1)
    assert found.trait_errors == {"traits": 1}
    assert found.cluster("high_value").n == 3
    assert (await read(engine, path, take=2)).profiles == 2
    shard = (await engine.list_shards(str(path)))[0]
    assert await engine.count(shard, RECIPE.keys, 100) == 8
    assert await engine.count(shard, RECIPE.keys, 3) == 3
    half = await read(engine, path, sample=0.5)
    assert half.profiles + half.left_out >= 4


WRONG = [
    ("a.csv", b"id,ltv\n1,2\nsecret,5,6,7\n", "file_corrupt", "line 3"),
    ("a.csv", b"id,name\n1,x\n", "file_format", "columns id, name"),
    ("a.csv", b"id,id\n1,2\n", "file_format", "header"),
    ("a.parquet", b"PAR1 secret", "file_corrupt", "damaged"),
    ("a.parquet", b"id,ltv\n", "file_format", "not a Parquet file"),
    ("a.json", b'[{"traits": {}}]\n', "file_format", "a JSON array"),
    ("a.ndjson", b'{"traits": {"ltv": 1}}\n{"traits": {"lt', "file_corrupt", "middle of a line"),
    ("a.ndjson.gz", gzip.compress(lines(*[{"traits": {"ltv": i}} for i in range(999)]))[:-99], "file_corrupt", "early"),
    ("a.ndjson.gz", b'{"traits": {}}\n', "file_corrupt", "gzip"),
    ("a.xlsx", b"PK\x03\x04xl/", "file_format", "Excel"),
]


async def test_what_is_wrong_is_named_without_a_value(engine: ShardEngine, tmp_path: Path) -> None:
    for name, content, code, fragment in WRONG:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ApiError) as raised:
            await read(engine, tmp_path / name)
        assert (raised.value.code, fragment in str(raised.value)) == (code, True), raised.value
        assert "secret" not in str(raised.value)


#: Selects for the shards of a batch, whether one query reads those that are alike, and the code and shard of its error.
BATCHES: list[tuple[list[str], bool, str]] = [
    (["900 AS ltv", "90 AS ltv", "NULL::INT AS ltv"], True, ""),
    (["900 AS ltv", "'90' AS ltv", "NULL AS ltv"], False, ""),
    (["900 AS ltv", "'90' AS ltv", "90 AS ltv"], True, ""),
    (["900 AS ltv, 'x' AS nps", "90 AS LTV"], False, ""),
    (["900 AS ltv", "5 AS nps"], False, "file_format shard?1.parquet"),
    (["900 AS ltv", ""], False, "file_corrupt shard?1.parquet"),
]


async def test_alike_shards_are_read_by_one_query_and_others_one_by_one(
    engine: ShardEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[str] = []
    read_one = ShardReader.aggregate

    def noted(reader: ShardReader, shard: Shard, *args: Any, **kwargs: Any) -> Aggregate:
        alone.append(shard.name)
        return read_one(reader, shard, *args, **kwargs)

    monkeypatch.setattr(ShardReader, "aggregate", noted)
    for number, (selects, together, wrong) in enumerate(BATCHES):
        folder = tmp_path / str(number)
        folder.mkdir()
        for i, select in enumerate(selects):
            path = folder / f"shard?{i}.parquet"  # which is a pattern to DuckDB, and matches the next file too
            (folder / f"shard-{i}.parquet").write_bytes(b"PAR1, and not to be read")
            if select:
                with duckdb.connect() as connection:
                    connection.sql(f"SELECT range AS id, {select} FROM range({10 + i})").write_parquet(str(path))
            else:
                path.write_bytes(b"PAR1 secret")
        shards = [shard for shard in await engine.list_shards(str(folder)) if "?" in shard.name]
        alone.clear()
        if wrong:
            with pytest.raises(ApiError) as raised:
                await engine.aggregate(shards, ReadOptions(RECIPE, 1e9))
            code, name = wrong.split()
            assert (raised.value.code, name in str(raised.value)) == (code, True), (selects, raised.value)
        else:
            found = await engine.aggregate(shards, ReadOptions(RECIPE, 1e9))
            assert (not alone, found.profiles) == (together, sum(10 + i for i in range(len(selects)))), selects
            each = Aggregate()
            for shard in shards:
                each.merge(await engine.aggregate([shard], ReadOptions(RECIPE, 1e9)))
            assert same_statistics(found.to_bytes(), each.to_bytes()), selects


async def test_a_sample_needs_identifiers(engine: ShardEngine, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ltv\n5\n")
    (tmp_path / "b.ndjson").write_bytes(lines({"traits": {"ltv": 5}}))
    for path in (tmp_path / "a.csv", tmp_path / "b.ndjson"):
        with pytest.raises(ApiError) as raised:
            await read(engine, path, sample=0.5)
        assert raised.value.code == "no_ids"


async def test_cases_from_the_field_are_read(engine: ShardEngine) -> None:
    for name, profiles, high_value in (
        ("0*.json", 40, 20),
        ("rows-flat.ndjson", 40, 20),
        ("rows-tall-user-traits.ndjson", 40, 40),
        ("merged-to-mixed.ndjson", 40, 40),
        ("lines-csv.csv", 2, 0),
    ):
        found = await read(engine, CASES / name)
        assert (found.profiles, found.cluster("high_value").n, found.merged) == (profiles, high_value, 0), name


def is_open(path: Path) -> bool:
    """Whether this process, and so a statement, has the file open."""
    return any(os.path.realpath(one) == str(path) for one in Path("/proc/self/fd").iterdir())


async def test_a_cancellation_interrupts_the_statement(engine: ShardEngine, tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    duckdb.sql("SELECT 'u' || range AS id, random() AS ltv FROM range(1_000_000)").write_parquet(str(path))
    shard = (await engine.list_shards(str(path)))[0]
    reading = asyncio.create_task(engine.aggregate([shard] * 50, ReadOptions(RECIPE, 1e9)))  # takes many seconds
    while not is_open(path):
        assert not reading.done()
        await asyncio.sleep(0.001)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(ApiError) as raised:
        await engine.aggregate([Shard(shard.name, shard.size + 1, shard.version)], ReadOptions(RECIPE, 1e9))
    assert raised.value.code == "file_changed"


async def test_a_shard_that_is_removed_after_the_listing_is_file_changed(engine: ShardEngine, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    for name in ("a.ndjson", "b.ndjson"):
        (tmp_path / "export" / name).write_bytes(lines({"id": name, "traits": PROFILES[0]}))
    shards = await engine.list_shards(str(tmp_path / "export"))
    (tmp_path / "export" / "b.ndjson").unlink()
    with pytest.raises(ApiError) as raised:
        await engine.aggregate(shards, ReadOptions(RECIPE, 1e9, None, ()))
    assert raised.value.code == "file_changed"
    assert "b.ndjson" in str(raised.value)
