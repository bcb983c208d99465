"""The file of bearer tokens: what it may hold, and that it is read again when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from producer.api.access.tokens import TokenFile, read_tokens
from worker.errors import ConfigurationError
from worker.secret_masking import mask

FIRST, SECOND = "first-token-0123456789", "second-token-0123456789"


def entry(name: str, token: str, scopes: str = '["read", "write"]') -> str:
    return f'[[tokens]]\nname = "{name}"\ntoken = "{token}"\nscopes = {scopes}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.toml"
    file.write_text(entry("one", FIRST) + entry("two", SECOND, '["read"]'))
    return file


def replace(path: Path, text: str) -> None:
    """Puts another file in its place, as a mounted secret is changed."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)


def test_every_token_of_the_file_is_known_by_name_and_scope(path: Path) -> None:
    tokens = TokenFile(path)
    one, two = tokens.find(FIRST), tokens.find(SECOND)
    assert one
    assert two
    assert (one.name, one.scopes) == ("one", {"read", "write"})
    assert (two.name, two.scopes) == ("two", {"read"})
    for wrong in ("", FIRST[:-1], FIRST + " ", FIRST.upper(), "é" * 30, "\udcff"):
        assert tokens.find(wrong) is None


def test_a_changed_file_is_read_again(path: Path) -> None:
    tokens = TokenFile(path)
    replace(path, entry("three", "third-token-0123456789"))
    assert tokens.find(FIRST) is None
    assert tokens.find("third-token-0123456789")


@pytest.mark.parametrize("broken", ["[[tokens", "", entry("one", "short")])
def test_a_file_that_breaks_leaves_the_tokens_as_they_were(path: Path, broken: str) -> None:
    tokens = TokenFile(path)
    replace(path, broken)
    assert tokens.find(FIRST)
    assert str(path) in tokens.problem
    replace(path, entry("one", SECOND))
    assert tokens.find(FIRST) is None
    assert tokens.problem == ""


def test_a_file_that_vanishes_leaves_the_tokens_as_they_were(path: Path) -> None:
    tokens = TokenFile(path)
    path.unlink()
    assert tokens.find(FIRST)
    assert "cannot be read" in tokens.problem


SECRET = "do-not-show-this-token"
MALFORMED = {
    "not TOML": (f"[[tokens]]\ntoken = {SECRET}", "line 2: this is not TOML"),
    "no tokens": ("", "tokens is missing"),
    "an empty list": ("tokens = []", "tokens must be at least one table"),
    "an unknown key": (entry("one", SECRET) + "secret = 1", "tokens.1.secret is not known"),
    "a short token": (entry("one", "short-secret"), "at least 20"),
    "a token with a space": (entry("one", f"{SECRET} and more"), "without spaces"),
    "no scope": (entry("one", SECRET, "[]"), 'scopes must be a list of "read"'),
    "an unknown scope": (entry("one", SECRET, '["admin"]'), "scopes"),
    "two of a name": (entry("one", SECRET) + entry("one", FIRST), "two tokens are named one"),
    "two of a token": (entry("one", SECRET) + entry("two", SECRET), "two has the same token"),
    "a name with a space": (entry("the one", SECRET), "name must be 1 to 64 ASCII letters"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_named_without_its_tokens(path: Path, case: str) -> None:
    text, fragment = MALFORMED[case]
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_tokens(path)
    shown = f"{refused.value} {refused.value.hint}"
    assert fragment in shown
    assert str(path) in shown
    assert SECRET not in shown


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TokenFile(missing)
    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigurationError, match="bytes"):
        TokenFile(big)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        TokenFile(binary)


def test_tokens_are_masked_in_texts(path: Path) -> None:
    read_tokens(path)
    assert FIRST not in mask(f"the header was {FIRST}")
