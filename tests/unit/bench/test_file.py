"""The file that the benchmark reads is one that the program reads whole."""

from __future__ import annotations

import gzip
from pathlib import Path

from producer.sandbox import SpaceSpec, profiles
from tests.bench import profiles_file
from worker.segment.export_file.profile_lines import read_rows


def test_a_written_file_holds_the_profiles_of_the_space_one_a_line(tmp_path: Path) -> None:
    plain = profiles_file.write(tmp_path / "profiles.ndjson", 30).read_bytes()
    packed = profiles_file.write(tmp_path / "profiles.ndjson.gz", 30).read_bytes()
    assert gzip.decompress(packed) == plain
    found = [{"traits": entry["traits"]} for entry in read_rows(plain.splitlines()).entries]  # type: ignore[index]
    assert found == list(profiles(SpaceSpec(30, "wide")))
