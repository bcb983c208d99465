"""Shards in object storage: listed, read by DuckDB in ranges, and refused by name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import pytest

from tests.support.servers.s3_server import S3Server
from worker.clusters import RECIPE
from worker.errors import ApiError
from worker.segment.file_shards import EngineLimits, FileAccess, ReadOptions, ShardEngine
from worker.segment.file_shards.listing import object_storage


async def test_objects_are_listed_and_aggregated_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb.sql("SELECT range AS id, 900 AS ltv, 0.1 AS churn_risk FROM range(300_000)").write_parquet(
        str(tmp_path / "a.parquet")
    )
    lines = "".join(json.dumps({"id": f"u{i}", "traits": {"ltv": i}}) + "\n" for i in range(40_000)).encode()
    with S3Server() as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        s3.objects = {
            "exports/night/a.parquet": (tmp_path / "a.parquet").read_bytes(),
            "exports/night/b.parquet": (tmp_path / "a.parquet").read_bytes(),
            "exports/night/_SUCCESS": b"",
            "exports/lines/part-0.json.gz": gzip.compress(lines),
            "exports/lines/part-1.csv": b"id,ltv\n1,900\n",
            "exports/cut/a.ndjson": lines[:-9],
        }
        engine = ShardEngine(FileAccess(None, url="s3://exports/"), EngineLimits(256, 2))

        async def read(url: str) -> tuple[int, int]:
            shards = await engine.list_shards(url)
            return len(shards), (await engine.aggregate(shards, ReadOptions(RECIPE, 1e9))).profiles

        assert await read("s3://exports/night") == await read("s3://exports/night/*.parquet") == (2, 600_000)
        assert await read("s3://exports/lines/part-0.json.gz") == (1, 40_000)
        assert await read("s3://exports/lines/part-1.csv") == (1, 1)
        for url, code in (
            ("s3://exports/cut/a.ndjson", "file_corrupt"),
            ("s3://exports/none/*.csv", "file_missing"),
            ("s3://exports-of-others/a", "file_forbidden"),
            ("gs://exports/a", "file_forbidden"),
        ):
            with pytest.raises(ApiError) as raised:
                await read(url)
            assert raised.value.code == code
        shards = await engine.list_shards("s3://exports/night")
        s3.objects["exports/night/b.parquet"] += b" "
        with pytest.raises(ApiError) as raised:
            await engine.aggregate(shards, ReadOptions(RECIPE, 1e9))
        assert (raised.value.code, "b.parquet" in str(raised.value)) == ("file_changed", True)
        s3.denied = True
        with pytest.raises(ApiError, match="access is denied"):
            await read("s3://exports/night")
        monkeypatch.setattr(object_storage.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ApiError) as raised:
            await read("s3://exports/night")
        assert raised.value.code == "driver_missing"
        assert "pip install 'segment-personas[object-storage]'" in raised.value.hint
