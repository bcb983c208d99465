"""A spaces file becomes what each space and account uses, or every mistake with line, field and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import ConfigurationError
from worker.secret_masking import mask
from worker.spaces.mistakes import MalformedSpaces, Mistake
from worker.spaces.spaces_file import Fallbacks, SpacesFile, parse_spaces
from worker.spaces.watched_file import WatchedSpacesFile

FILES = {"t1": "token-of-space-1", "emea": "mvra_live_emea_key", "two words": "two words", "empty": ""}

GOOD = """
[default]
account = "main"
rate = "50/s"

[spaces.spa_1]
token_file = "t1"
region = "EU"
dialect = "profile-api"
rate = 80
account = "emea"
warehouse_url = "postgres://user:long-password@host/db"

[spaces."spa.2"]
token = "token-of-space-2"

[accounts.main]
api_key = "mvra_live_main_key"

[accounts.emea]
api_key_file = "emea"
rate = 120
gap_s = "100ms"
"""


def read(file: str) -> str:
    if file not in FILES:
        raise ValueError("the file cannot be read (No such file or directory)")
    return FILES[file]


def parse(text: str, *, needs_secrets: bool = True, **fallbacks: str | bool) -> SpacesFile:
    return parse_spaces(text, read, Fallbacks(**fallbacks), needs_secrets=needs_secrets)  # type: ignore[arg-type]


def mistakes(text: str, **fallbacks: str | bool) -> list[Mistake]:
    with pytest.raises(MalformedSpaces) as caught:
        parse(text, **fallbacks)
    return caught.value.mistakes


def secret(value: object) -> str:
    return value.get_secret_value()  # type: ignore[attr-defined,no-any-return]


def test_every_space_and_account_gets_its_own_values() -> None:
    found = parse(GOOD)
    one, two = found.spaces["spa_1"], found.spaces["spa.2"]
    assert (secret(one.token), one.region, one.dialect, one.rate) == ("token-of-space-1", "eu", "profile-api", 80)
    assert secret(one.warehouse_url).startswith("postgres://")
    assert (secret(two.token), two.rate, found.default.rate) == ("token-of-space-2", None, 50)
    assert [found.account_of(name) for name in ("spa_1", "spa.2", "other")] == ["emea", "main", "main"]
    emea = found.accounts["emea"]
    assert (secret(emea.api_key), emea.rate, emea.gap_s) == ("mvra_live_emea_key", 120, 0.1)
    assert mask("token-of-space-1 mvra_live_emea_key token-of-space-2") == "[secret] [secret] [secret]"
    assert "token" not in repr(one.token)


def test_spaces_of_one_account_and_the_environment_as_default() -> None:
    found = parse('[spaces.a]\n[spaces.b]\ntoken = "x"\n', token=True, api_key="mvra_live_env")
    assert [found.account_of(name) for name in ("a", "b", "c")] == ["default"] * 3
    assert parse("").spaces == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[spaces.a]\ntokn_file = "t1"', [(2, "spaces.a.tokn_file", "no such field", "Did you mean token_file?")]),
        ('[accounts.a]\nkey = "secret-value"', [(2, "accounts.a.key", "no such field", "Did you mean api_key?")]),
        ("[spaces.a.b]\n", [(1, "spaces.a.b", "no such field", '[spaces."a.b"]')]),
        ("[spase.a]\n", [(1, "spase", "no such field", "Did you mean spaces?")]),
        (
            '[default]\nregion = "asia"\nrate = "fast"\n',
            [(2, "default.region", "one of: us, eu", ""), (3, "default.rate", "requests a second", "")],
        ),
        ("[accounts.a]\nrate = true\nbase_url = 'x'\n", [(2, "accounts.a.rate", "minute", ""), (3, "", "http", "")]),
        (
            '[spaces.a]\naccount = "e"\ntoken = "secret-value"\ntoken_file = "t1"\n[accounts.e]\napi_key = "k"',
            [(4, "spaces.a.token_file", "both set", "Keep one")],
        ),
        (
            '[spaces.a]\naccount = "e"\ntoken_file = "gone"\n[accounts.e]\napi_key_file = "two words"',
            [(3, "spaces.a.token_file", "gone: the file cannot be read", "Create"), (5, "", "bare secret", "")],
        ),
        (
            '[spaces.a]\ntoken_file = "empty"\naccount = "emae"\n[accounts.emea]\n',
            [(2, "spaces.a.token_file", "empty", ""), (3, "", "no account emae", "emea"), (4, "", "no key", "api_key")],
        ),
        ("[spaces.a]\n", [(1, "spaces.a", "no token", "token_file"), (1, "spaces.a", "no Mavera account", "account")]),
        (
            '[accounts.a]\napi_key = "same-key"\n[accounts.b]\napi_key = "same-key"\n',
            [(3, "accounts.b", "same key as the account a", 'account = "a"')],
        ),
        (
            '[accounts.default]\napi_key = "k1"\n[accounts.b]\napi_key = "k2"\nrecords = "default"',
            [(3, "accounts.b", "default has the records", "Leave")],
        ),
        ('[accounts."A b"]\napi_key = "k"', [(1, "accounts.A b", "name of an account", "small letters")]),
        ('[spaces."a b"]\ntoken = "t"\naccount = "e"\n[accounts.e]\napi_key = "k"', [(1, "spaces.a b", "id", "Copy")]),
        ("spaces = 3", [(1, "spaces", "must be a table", "[spaces]")]),
        ("\n\n[default]\ntoken = secret-value\n", [(4, "", "not TOML from column 9", "quotes")]),
        ('[default]\ntoken = "secret-value\n', [(2, "", "not TOML", "")]),
        ("[default]\n[default]\n", [(2, "", "not TOML", "join")]),
    ],
)
def test_a_mistake_has_its_line_field_and_fix(text: str, expected: list[tuple[int, str, str, str]]) -> None:
    found = mistakes(text)
    assert len(found) == len(expected), found
    for mistake, (line, field, sentence, fix) in zip(found, expected, strict=True):
        assert mistake.line == line
        assert not field or mistake.field == field
        assert sentence in mistake.sentence
        assert fix in mistake.fix
        assert "secret-value" not in str(mistake)


def test_a_client_needs_no_secret() -> None:
    found = parse('[spaces.a]\ntoken_file = "gone"\naccount = "e"\n[accounts.e]\n', needs_secrets=False)
    assert (found.account_of("a"), found.spaces["a"].token, len(found.unreadable)) == ("e", None, 1)


def test_a_change_of_any_file_is_read_and_a_malformed_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, token, now = tmp_path / "spaces.toml", tmp_path / "token", [0.0]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        WatchedSpacesFile(path, Fallbacks())
    token.write_text("token-one\n")
    path.write_text('[spaces.a]\ntoken_file = "token"\n')
    watched = WatchedSpacesFile(path, Fallbacks(api_key="k"), clock=lambda: now[0])

    def after_a_second() -> SpacesFile:
        now[0] += 1
        return watched.current()

    token.write_text("token-two")
    assert secret(watched.current().spaces["a"].token) == "token-one"  # it looks once a second
    assert secret(after_a_second().spaces["a"].token) == "token-two"
    assert watched.version == 2

    path.write_text("[spaces.a\n")
    assert secret(after_a_second().spaces["a"].token) == "token-two"
    token.write_text("token-three")
    assert after_a_second() is watched.current()
    path.write_text('[spaces.a]\ntoken_file = "later"\n')
    assert secret(after_a_second().spaces["a"].token) == "token-two"
    assert "line 2: spaces.a.token_file" in watched.problem
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    after_a_second()
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == len(errors) == 3

    (tmp_path / "later").write_text("token-four")
    assert secret(after_a_second().spaces["a"].token) == "token-four"
    assert (watched.version, watched.problem) == (3, "")
    assert not [word for word in ("token-two", "token-four") if word in caplog.text]
