"""Texts that are not TOML: their line, a fix, and names that were probably meant."""

from __future__ import annotations

import pytest

from worker.toml.reader import MalformedToml, read_toml, similar_name


def read(text: str) -> MalformedToml:
    with pytest.raises(MalformedToml) as refused:
        read_toml(text, "spaces", max_length=1000, fixes={"Cannot declare": "begin each with [[traits]]"})
    return refused.value


@pytest.mark.parametrize(
    ("text", "line", "fix"),
    [
        ("a = 1\nb = secret", 2, "straight quotes"),
        ("a = 1\na = 2", 2, "leave one out"),
        ("[a]\n[a]", 2, "begin each with [[traits]]"),
        ("secret", 1, "name = value"),
    ],
)
def test_a_mistake_has_its_line_and_a_fix_and_quotes_nothing(text: str, line: int, fix: str) -> None:
    error = read(text)
    assert (error.line, fix in error.fix) == (line, True)
    assert error.parser_message
    assert "secret" not in f"{error}{error.sentence}{error.fix}"


def test_a_text_beyond_the_limits_is_not_parsed() -> None:
    for text in ("#" * 1001, "x = " + "1" * 200, "x = { a = 1,\n}"):
        assert (read(text).line, read(text).parser_message) == (1, "")


@pytest.mark.parametrize(
    ("name", "meant"), [("KEY", "api_key"), ("api_kye", "api_key"), ("rate", "rate"), ("zzz", ""), ("x" * 999, "")]
)
def test_a_name_that_was_probably_meant_is_found(name: str, meant: str) -> None:
    assert similar_name(name, ["api_key", "rate"], {"key": "api_key"}) == meant
