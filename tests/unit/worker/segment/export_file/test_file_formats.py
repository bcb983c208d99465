"""Files that are not one JSON object a line: refused by name before anything is read of them, however they arrive."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.export_files import NDJSON, PROFILES, count_entries
from worker.errors import ApiError, Permanent
from worker.segment.export_file import line_reader, ndjson_file, open_any_file
from worker.segment.export_file.ndjson_file import NdjsonFile

CASES = Path(__file__).parents[4] / "cases"
FLAT = "".join(json.dumps({"id": profile["id"], **profile["traits"]}) + "\n" for profile in PROFILES)  # type: ignore[dict-item]


def zipped(name: str = "profiles.ndjson", text: str = NDJSON) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("profiles.ndjson")
        member.size = len(NDJSON)
        archive.addfile(member, io.BytesIO(NDJSON.encode()))
    return file.getvalue()


def tall(*names: str) -> str:
    rows = (dict(zip(names, ("use_1", key, "7"), strict=True)) for key in ("ltv", "plan") for _ in range(20))
    return "".join(json.dumps(row) + "\n" for row in rows)


BINARY = {
    "zip": (zipped(), "zip archive"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "zip archive"),
    "xlsx": (zipped("[Content_Types].xml", "<Types/>"), "Excel"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "Excel"),
    "bzip2": (bz2.compress(NDJSON.encode()), "bzip2"),
    "xz": (lzma.compress(NDJSON.encode()), "xz"),
    "lzma": (lzma.compress(NDJSON.encode(), format=lzma.FORMAT_ALONE), "lzma"),
    "zlib": (zlib.compress(NDJSON.encode()), "zlib"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58\x01\x00" + bytes(range(200)), "zstd"),
    "zstd, skippable frame first": (b"\x50\x2a\x4d\x18\x04\x00\x00\x00\x00\x00\x00\x00", "zstd"),
    "lz4": (b"\x04\x22\x4d\x18\x64\x40\xa7" + bytes(range(100)), "lz4"),
    "snappy": (b"\xff\x06\x00\x00sNaPpY\x01\x02", "snappy"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "7-Zip"),
    "tar": (tarred(), "tar archive"),
    "parquet": (b"PAR1\x15\x04\x15\x10" + bytes(range(100)), "Parquet"),
    "avro": (b"Obj\x01\x04\x14avro.codec\x08null", "Avro"),
    "orc": (b"ORC\x0a\x00\x03\x00", "ORC"),
    "arrow": (b"ARROW1\x00\x00\xff\xff\xff\xff", "Arrow"),
    "sqlite": (b"SQLite format 3\x00\x10\x00", "SQLite"),
    "pg_dump": (b"PGDMP\x01\x0e\x00", "pg_dump"),
    "pickle": (b"\x80\x05\x95" + bytes(range(256)) * 4, "binary data"),
}

TEXT = {
    "array, a line each": (json.dumps(PROFILES).replace("}}, ", "}},\n"), "JSON array"),
    "array in one line": (json.dumps(PROFILES), "JSON array"),
    "array, pretty-printed": (json.dumps(PROFILES, indent=2), "JSON array"),
    "array after blank lines": ("\n\n  " + json.dumps(PROFILES), "JSON array"),
    "array with a byte order mark": ("\ufeff" + json.dumps(PROFILES), "JSON array"),
    "arrays, one a line": ('["use_1", 1200]\n["use_2", 450]\n', "JSON array"),
    "one object around a list": (json.dumps({"profiles": PROFILES}), "hold profiles in a field"),
    "answer of an API": (json.dumps({"data": {"profiles": PROFILES}, "cursor": None}), "hold profiles in a field"),
    "rows of one column": ("".join(json.dumps({"C1": one}) + "\n" for one in PROFILES), "hold profiles in a field"),
    "pretty-printed": (json.dumps(PROFILES[0], indent=2) + "\n" + json.dumps(PROFILES[1], indent=2), "pretty-printed"),
    "pretty-printed, long": (
        json.dumps({"id": "use_1", "traits": {f"t{i}": i for i in range(90)}}, indent=1),
        "pretty-printed",
    ),
    "pretty-printed by a tool that begins with a key": (
        '{ "id": "use_1",\n  "traits": {\n  "ltv": 1\n}\n}\n',
        "pretty",
    ),
    "commas between lines": (NDJSON.replace("\n", ",\n"), "commas between"),
    "no line ends": (NDJSON.replace("\n", ""), "without line ends"),
    "line ends of old Macs": (NDJSON.replace("\n", "\r"), "without line ends"),
    "CSV": ("id,ltv,plan\nuse_1,1200,pro\nuse_2,450,free\n", "CSV (columns separated by commas)"),
    "CSV without line end": ("id,ltv\nuse_1,1200", "CSV"),
    "CSV, header only": ("id,ltv,plan\n", "CSV"),
    "CSV with a byte order mark": ("\ufeffid,ltv\r\nuse_1,1200\r\n", "CSV"),
    "CSV, quoted": ('"id","ltv"\n"use_1","1200"\n', "CSV"),
    "CSV, semicolons": ("id;ltv\nuse_1;1200\n", "semicolons"),
    "CSV of JSON": ('traits\n"{""ltv"": 1200}"\n"{""ltv"": 450}"\n', "text in quotes"),
    "TSV": ("id\tltv\nuse_1\t1200\n", "TSV"),
    "bars": ("id|ltv\nuse_1|1200\n", "bars"),
    "JSON in quotes": ("".join(json.dumps(json.dumps(one)) + "\n" for one in PROFILES), "text in quotes"),
    "traits in quotes": (
        "".join(json.dumps({**one, "traits": json.dumps(one["traits"])}) + "\n" for one in PROFILES),
        "written as text",
    ),
    "flat": (FLAT, "flat"),
    "flat, one row": ('{"id": "use_1", "ltv": 5}\n', "flat"),
    "flat without line end": (FLAT.rstrip(), "flat"),
    "tall": (tall("canonical_segment_id", "name", "value"), "tall"),
    "tall, other names": (tall("id", "key", "value"), "tall"),
    "tall, capitals": (tall("USER_ID", "NAME", "VALUE"), "tall"),
    "HTML": ("<!DOCTYPE html><html><body>Sign in</body></html>\n", "HTML or XML"),
    "XML": ('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "HTML or XML"),
    "text": ("hello\n", "text that is not JSON"),
    "one line of text without end": ("hello", "text that is not JSON"),
    "JSON text sequence": (NDJSON.replace('{"id', '\x1e{"id'), "JSON text sequence"),
    "Python": (NDJSON.replace('"', "'"), "malformed"),
    "cut lines": ("".join(line[:30] + "\n" for line in NDJSON.splitlines()), "cut off or malformed"),
    "COPY of Postgres": ('{"id": "1", "traits": {"company": "A \\\\"B\\\\" C"}}\n' * 30, "doubled backslashes"),
    "numbers": ("1\n2\n3\n", "not JSON"),
}

ENCODED = {
    f"{name}{' with its mark' if mark else ''}": (mark + NDJSON.encode(name), name[:6].upper())
    for name, marks in {
        "utf-16-le": (b"", b"\xff\xfe"),
        "utf-16-be": (b"", b"\xfe\xff"),
        "utf-32-le": (b"", b"\xff\xfe\x00\x00"),
        "utf-32-be": (b"", b"\x00\x00\xfe\xff"),
    }.items()
    for mark in marks
}

REFUSED: dict[str, tuple[bytes, str]] = {
    **BINARY,
    **ENCODED,
    **{name: (text.encode(), fragment) for name, (text, fragment) in TEXT.items()},
}

READ = {
    "profiles": NDJSON,
    "byte order mark": "\ufeff" + NDJSON,
    "line ends of Windows": NDJSON.replace("\n", "\r\n"),
    "a bad line first": "exported by tool 7\n" + NDJSON,
    "bad lines first": "a,b\n" * 19 + NDJSON,
    "flat rows first": FLAT[: FLAT.index("\n") * 5 + 5].rpartition("\n")[0] + "\n" + NDJSON,
    "every other line cut off": "".join(
        line[: 40 if i % 2 else None] + "\n" for i, line in enumerate(NDJSON.splitlines())
    ),
    "no traits": '{"id": "use_1"}\n{"id": "use_2", "merged_to": null}\n',
    "null as traits": '{"id": "use_1", "traits": null}\n',
    "a list as traits": '{"id": "use_1", "traits": []}\n',
    "columns beside the traits": '{"id": "use_1", "name": "x", "value": 1, "traits": {"ltv": 1}}\n',
    "psql with a header": " json_build_object \n----\n" + NDJSON + "(60 rows)\n",
    "no end of the last line": NDJSON.rstrip("\n"),
    "spaces at the end": NDJSON + "  ",
    "blank": "\n \n\t\n",
    "escapes of Unicode": '{"id": "use_1", "traits": {"plan": "\\u0000\\ufeff"}}\n',
}

Arrive = Callable[[Path, bytes], tuple[str, list[int]]]


def as_file(path: Path, data: bytes) -> tuple[str, list[int]]:
    path.write_bytes(data)
    return str(path), []


def as_gzip(path: Path, data: bytes) -> tuple[str, list[int]]:
    path.write_bytes(gzip.compress(data))
    return str(path), []


def as_pipe(path: Path, data: bytes) -> tuple[str, list[int]]:
    """A pipe that gives all it has at once."""
    reader, writer = os.pipe()
    assert os.write(writer, data[:60_000]) == len(data)
    os.close(writer)
    return f"/dev/fd/{reader}", [reader]


@pytest.fixture(params=[as_file, as_gzip, as_pipe])
def arrive(request: pytest.FixtureRequest) -> Arrive:
    chosen: Arrive = request.param
    return chosen


@pytest.mark.parametrize("size", [1 << 16, 200])
def test_another_format_is_refused_by_name(
    tmp_path: Path, arrive: Arrive, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_reader, "READ_BYTES", size)
    for name, (data, fragment) in REFUSED.items():
        file, opened = arrive(tmp_path / "profiles", data)
        error: Exception | None = None
        try:
            count_entries(file)
        except ApiError as raised:
            error = raised
        for descriptor in opened:
            os.close(descriptor)
        assert isinstance(error, Permanent), name
        assert error.code == "file_format", name
        assert fragment in f"{error} {error.hint}", name
        assert '{"id": "use_1", "traits": {"ltv": 1200}}' in str(error), name
        assert len(str(error).splitlines()) == 1, name


@pytest.mark.parametrize("size", [1 << 16, 200])
def test_lines_of_profiles_are_read_whatever_is_odd_about_them(
    tmp_path: Path, arrive: Arrive, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_reader, "READ_BYTES", size)
    found = {}
    for name, text in READ.items():
        file, opened = arrive(tmp_path / "profiles", text.encode())
        found[name], _ = count_entries(file)
        for descriptor in opened:
            os.close(descriptor)
    assert found == {name: sum(bool(line.strip()) for line in text.splitlines()) for name, text in READ.items()}


def test_a_refusal_shows_nothing_of_the_file(tmp_path: Path) -> None:
    for text in ("secret_name,other\nsecret_value,1\n", '{"secret_name": "secret_value"}\n', "secret_value\n"):
        (tmp_path / "profiles").write_text(text)
        with pytest.raises(Permanent) as raised:
            count_entries(str(tmp_path / "profiles"))
        assert "secret" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize("data", [b"{", b'{"id": "use_0", "traits": {"ltv"', b"\xef\xbb\xbf{"])
def test_one_object_that_is_cut_off_is_a_cut_file(tmp_path: Path, arrive: Arrive, data: bytes) -> None:
    file, opened = arrive(tmp_path / "profiles", data)
    with pytest.raises(Permanent) as raised:
        count_entries(file)
    for descriptor in opened:
        os.close(descriptor)
    assert raised.value.code == "file_corrupt"


@pytest.mark.parametrize("cut", [1, 2, 10, 45])
def test_a_last_line_without_end_that_is_not_json_is_a_cut_file(tmp_path: Path, arrive: Arrive, cut: int) -> None:
    file, opened = arrive(tmp_path / "profiles", NDJSON.rstrip("\n").encode()[:-cut])
    with pytest.raises(Permanent) as raised:
        count_entries(file)
    for descriptor in opened:
        os.close(descriptor)
    assert (raised.value.code, "ends in the middle of a line" in str(raised.value)) == ("file_corrupt", True)


def test_a_long_last_line_without_end_is_a_cut_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "LONGEST_LINE", 100)
    (tmp_path / "profiles").write_text(NDJSON + '{"id": "' + "x" * 200)
    with pytest.raises(Permanent, match="middle of a line"):
        count_entries(str(tmp_path / "profiles"))


def test_a_file_of_one_long_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "LONGEST_LINE", 100)
    (tmp_path / "profiles").write_text('{"id": "' + "x" * 200 + "\n")
    with pytest.raises(Permanent, match="not divided into lines"):
        count_entries(str(tmp_path / "profiles"))


def test_a_place_in_a_file_is_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a place may look like another format; the beginning has shown what the file is."""
    monkeypatch.setattr(line_reader, "READ_BYTES", 2000)
    monkeypatch.setattr(ndjson_file, "READ_BYTES", 2000)
    path = tmp_path / "profiles"
    path.write_text(NDJSON + "a,b,c\n" * 900)
    opened = NdjsonFile(str(path), open_any_file, None)
    place = opened.page(None).following
    assert place
    while place and place.offset < len(NDJSON):
        place = opened.page(place).following
    opened.close()
    assert place
    entries, _ = count_entries(str(path), place)
    assert entries == (NDJSON + "a,b,c\n" * 900)[place.offset :].count("\n")


@pytest.mark.parametrize(
    ("data", "code"), [(gzip.compress(NDJSON.encode()), None), (zipped(), "file_format"), (b"[1]\n", "file_format")]
)
def test_a_pipe_that_gives_a_byte_at_a_time_is_judged_as_any_other(data: bytes, code: str | None) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), open(writer, "wb", buffering=0) as file:
            for i in range(len(data)):
                file.write(data[i : i + 1])

    writing = threading.Thread(target=write)
    writing.start()
    try:
        if code is None:
            assert count_entries(f"/dev/fd/{reader}") == (60, 0)
        else:
            with pytest.raises(Permanent) as raised:
                count_entries(f"/dev/fd/{reader}")
            assert raised.value.code == code
    finally:
        os.close(reader)
        writing.join()


def test_a_pipe_is_not_waited_for_longer_than_its_first_profile() -> None:
    reader, writer = os.pipe()
    os.write(writer, NDJSON[: NDJSON.index("\n") + 1].encode())
    opened = NdjsonFile(f"/dev/fd/{reader}", open_any_file, None)
    assert opened.page(None).entries == PROFILES[:1]
    opened.close()
    os.close(reader)
    os.close(writer)


# The cases from the field


@pytest.mark.parametrize(
    ("case", "fragment"),
    [
        ("lines-json-array.json", "JSON array"),
        ("lines-csv.csv", "CSV"),
        ("rows-flat.ndjson", "flat"),
        ("rows-tall-user-traits.ndjson", "tall"),
    ],
)
def test_a_case_that_is_not_one_profile_a_line_is_refused(case: str, fragment: str) -> None:
    with pytest.raises(Permanent) as raised:
        count_entries(str(CASES / case))
    assert raised.value.code == "file_format"
    assert fragment in f"{raised.value} {raised.value.hint}"


def test_empty_merged_to_in_every_form_leaves_no_profile_out() -> None:
    assert count_entries(str(CASES / "merged-to-mixed.ndjson")) == (40, 0)
