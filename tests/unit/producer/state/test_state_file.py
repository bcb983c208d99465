"""The file of `state export`: what was written is read back, and anything less than a whole file is refused."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.state.state_file import VERSION, StateFileUnusable, decode_state, encode_state
from worker.store import PersonaRecord
from worker.store.transfer.state_copy import StateCopy

ACCOUNTS = st.sampled_from(["live-0123456789ab", "test-ba9876543210", "live.emea"])
PLACES = st.tuples(ACCOUNTS, st.text("abcdef -.#:", min_size=1, max_size=20))
RECORDS = st.builds(
    lambda persona, space, cluster, n: PersonaRecord(persona, space, cluster, "syn_1", n).encode().decode(),
    *(st.text(max_size=20) for _ in range(3)),
    st.integers(0, 10**15),
)
CLAIMS = st.fixed_dictionaries(
    {"by": st.just("a"), "sync": st.just("syn_1"), "at": st.integers(0, 10**13).map(str)},
    optional={"settle_ms": st.integers(0, 10**6).map(str), "later": st.text(max_size=10)},
)
COPIES = st.builds(StateCopy, st.dictionaries(PLACES, RECORDS, max_size=5), st.dictionaries(PLACES, CLAIMS, max_size=5))
PLACE = ("live-0123456789ab", "ref")
RECORD = PersonaRecord("per_1", "space", "new", "s1", n=3).encode().decode()
SMALL = StateCopy({PLACE: RECORD})


def encode(copy: StateCopy) -> bytes:
    return encode_state(copy, program="0", exported_at="2026-01-01T00:00:00Z").encode()


def resigned(raw: bytes, old: str, new: str) -> bytes:
    """The file with another text and the checksum of that."""
    body = raw[: raw.rindex(b'{"kind":"end"')].replace(old.encode(), new.encode())
    rows = body.count(b"\n") - 1
    return body + orjson.dumps({"kind": "end", "rows": rows, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n"


@given(COPIES)
def test_what_was_exported_is_read_back_and_exported_equal(copy: StateCopy) -> None:
    raw = encode(copy)
    found = decode_state("file", raw)
    assert found == copy
    assert encode(found) == raw


def test_a_file_that_is_cut_anywhere_is_refused() -> None:
    raw = encode(SMALL)
    for length in range(len(raw)):
        with pytest.raises(StateFileUnusable):
            decode_state("file", raw[:length])


@given(st.integers(0, len(encode(SMALL)) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position: int, change: int) -> None:
    raw = bytearray(encode(SMALL))
    raw[position] ^= change
    with pytest.raises(StateFileUnusable):
        decode_state("file", bytes(raw))


@pytest.mark.parametrize(
    ("old", "new"),
    [(f'"version":{VERSION},', f'"version":{VERSION + 1},'), ('{\\"cluster', '{\\"version\\":2,\\"cluster')],
    ids=["file", "record"],
)
def test_a_newer_version_is_named_and_left_alone(old: str, new: str) -> None:
    raw = encode(SMALL)
    assert old.encode() in raw
    with pytest.raises(StateFileUnusable, match="newer version"):
        decode_state("file", resigned(raw, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("live-0123456789ab", "live-0:1"),
        ('"kind":"record"', '"kind":"queue"'),
        ('"reference":"ref"', '"reference":""'),
        ('{\\"cluster', '[{\\"cluster'),
        ('\\"n\\":3', '\\"m\\":3'),
    ],
)
def test_a_row_that_this_program_does_not_write_is_refused(old: str, new: str) -> None:
    raw = encode(SMALL)
    assert old.encode() in raw
    with pytest.raises(StateFileUnusable):
        decode_state("file", resigned(raw, old, new))


def test_a_state_that_could_not_be_imported_is_not_exported() -> None:
    with pytest.raises(StateFileUnusable):
        encode(StateCopy(claims={PLACE: {"by": "a"}}))
