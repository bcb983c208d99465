"""Settings as people write them: spellings, prefixes, files, units; and the messages about unusable ones."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from worker.environment import edit_distance
from worker.errors import ConfigurationError
from worker.settings import (
    Settings,
    load_client_config,
    load_settings,
    read_settings,
    secret_settings,
    unknown_settings,
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})


def load(**variables: str) -> Settings:
    os.environ.update(variables)
    return load_settings()


def problem(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**variables)
    return str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("SEGMENT_RATE", "50/s", 50),
        ("SEGMENT_RATE", "50 per second", 50),
        ("SEGMENT_RATE", "3,000/min", 50),
        ("SEGMENT_RATE", "12.5 rps", 12.5),
        ("MAVERA_RATE", "120/min", 120),
        ("MAVERA_RATE", "2/s", 120),
        ("MAVERA_RATE", "60 requests per minute", 60),
        ("LEASE_S", "20s", 20),
        ("LEASE_S", "1m30s", 90),
        ("COMMIT_INTERVAL_S", "250ms", 0.25),
        ("RETRY_BUDGET_S", "2h", 7200),
        ("RETENTION_DAYS", "12h", 0.5),
        ("RETENTION_DAYS", "2 weeks", 14),
        ("GUARD_PROFILES", "5%", 0.05),
        ("PERSONA_MEAN_PERCENT", "2%", 2),
        ("MAX_BODY_MB", "1GiB", 1024),
        ("MAX_CREDITS", "1,200", 1200),
        ("MAX_CREDITS", "1_200", 1200),
        ("LOG_LEVEL", "info", "INFO"),
        ("LOG_LEVEL", "Warn", "WARNING"),
        ("SEGMENT_REGION", "EU", "eu"),
        ("SEGMENT_DIALECT", "Inline", "inline"),
        ("SEGMENT_SPACE_ID", '"spa_1"\r', "spa_1"),
        ("SEGMENT_RATE", "'7'\r\n", 7),
    ],
)
def test_a_value_is_understood_as_people_write_it(variable: str, text: str, value: object) -> None:
    assert getattr(load(**{variable: text}), variable.lower()) == value


@pytest.mark.parametrize(
    ("variable", "text", "fragments"),
    [
        ("SEGMENT_RATE", "fast", ("requests a second", "50/s")),
        ("SEGMENT_RATE", "50/fortnight", ("requests a second",)),
        ("MAVERA_RATE", "1.5", ("whole number", "60")),
        ("SEGMENT_PAGE_SIZE", "201", ("whole number", "from 1 to 200")),
        ("LEASE_S", "20 parsecs", ("seconds", "2m")),
        ("GUARD_PROFILES", "500%", ("from 0 to 1", "50%")),
        ("LOG_LEVEL", "LOUD", ("DEBUG, INFO, WARNING, ERROR",)),
        ("SEGMENT_DIALECT", "soap", ("auto, inline, profile-api",)),
        ("REDIS_PREFIX", "a b", ("letters", "staging:")),
        ("MAX_CREDITS", "-1", ("at least 0",)),
    ],
)
def test_a_malformed_value_is_explained_with_an_example(variable: str, text: str, fragments: tuple[str, ...]) -> None:
    message = problem(**{variable: text})
    assert message.startswith(f"Malformed setting: {variable}: must be ")
    assert all(fragment in message for fragment in fragments)


PYDANTIC = ("Input should", "unable to parse", "String should", "pattern", "validation error", "Value error")


@pytest.mark.parametrize("value", ["\x00\x7f s3cr3t", "-1e999", "s3cr3t" * 2000])
def test_no_setting_is_refused_in_the_words_of_pydantic(value: str) -> None:
    for name in sorted(Settings.model_fields):
        with patch.dict(os.environ, {name.upper(): value}):
            _, problems = read_settings()
        text = "; ".join(map(str, problems))
        assert not any(words in text for words in PYDANTIC), name
        assert "s3cr3t" not in text, name


def test_each_variable_has_a_prefixed_name_that_wins() -> None:
    for name in sorted(Settings.model_fields):
        with patch.dict(os.environ, {name.upper(): "\x7f!"}):
            os.environ[f"SEGMENT_PERSONAS_{name.upper()}"] = ""
            plain = read_settings()[1]
            os.environ[f"SEGMENT_PERSONAS_{name.upper()}"] = "\x7f! !"
            settings, add_prefix = read_settings()
        if plain:
            assert plain[0].variable == name.upper()
            assert add_prefix[0].variable == f"SEGMENT_PERSONAS_{name.upper()}"
        else:
            assert str(getattr(settings, name)) in {"\x7f! !", "**********"}, name


# Secrets in files


def test_the_secrets_are_those_that_must_not_be_shown() -> None:
    assert secret_settings() == {
        *("segment_token", "mavera_api_key", "redis_url", "webhook_url", "webhook_secret", "warehouse_url")
    }


@pytest.mark.parametrize("name", sorted(secret_settings()))
@pytest.mark.parametrize("prefix", ["", "SEGMENT_PERSONAS_"])
def test_a_secret_is_read_from_the_file_that_is_named(tmp_path: Path, name: str, prefix: str) -> None:
    file = tmp_path / "secret"
    urls = {"webhook_url": "https://s3cr3t", "warehouse_url": "postgresql://u:s3cr3t@h/db"}
    value = {**urls, "webhook_secret": f"whsec_{'a' * 43}="}.get(name, "redis://s3cr3t")
    file.write_text(f"{value}\r\n")
    settings = load(**{f"{prefix}{name.upper()}_FILE": str(file), "WEBHOOK_FORMAT": "slack"})
    assert getattr(settings, name).get_secret_value() == value
    assert unknown_settings() == []


def test_an_empty_file_counts_as_not_set() -> None:
    settings = load(MAVERA_API_KEY_FILE=os.devnull, MAVERA_API_KEY="key")
    assert settings.mavera_api_key is not None
    assert settings.mavera_api_key.get_secret_value() == "key"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cr3t-a")
    message = problem(MAVERA_API_KEY_FILE=str(file), MAVERA_API_KEY="s3cr3t-b")
    assert "MAVERA_API_KEY_FILE" in message
    assert "both set" in message
    assert "s3cr3t" not in message


@pytest.mark.parametrize(
    ("content", "fragment"), [(None, "No such file"), (b"\xff\xfe", "UTF-8"), (b"x" * 70_000, "bytes")]
)
def test_a_file_that_cannot_be_used_is_named_by_its_variable(
    tmp_path: Path, content: bytes | None, fragment: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    message = problem(SEGMENT_TOKEN_FILE=str(file))
    assert message.startswith("Malformed setting: SEGMENT_TOKEN_FILE: ")
    assert fragment in message


# Near misses


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SEGMNT_RATE", "SEGMENT_RATE"),
        ("SEGMENT_RAET", "SEGMENT_RATE"),
        ("MAVERA_KEY", None),
        ("MAVERA_APIKEY", "MAVERA_API_KEY"),
        ("MAX_CREDIT", "MAX_CREDITS"),
        ("REDIS_URI", "REDIS_URL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("POLLS", "POLL_S"),
        ("SEGMENT_PERSONAS_MAX_CREDIT", "SEGMENT_PERSONAS_MAX_CREDITS"),
        ("SEGMENT_TOKENFILE", "SEGMENT_TOKEN_FILE"),
        ("SEGMENT_RATE_FILE", None),
        ("GUARD_EVERYTHING", None),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(variable: str, meant: str | None) -> None:
    [sentence] = unknown_settings({variable: "x"})
    assert sentence.startswith(f"{variable} is not a setting")
    assert ("did you mean" in sentence) is (meant is not None)
    if meant:
        assert sentence.endswith(f"did you mean {meant}?")


def test_variables_of_other_programs_are_not_mentioned() -> None:
    others = ("PATH", "HOME", "SHLVL", "REDIS_HOST", "REDIS_PORT", "AIRFLOW_HOME", "LEVEL", "PWD", "LS_COLORS", "TERM")
    ours = {name.upper(): "x" for name in Settings.model_fields}
    assert unknown_settings(dict.fromkeys(others, "x") | ours) == []


def test_a_variable_beside_the_one_that_was_meant_is_not_a_misspelling() -> None:
    assert unknown_settings({"REDIS_URI": "x", "REDIS_URL": "y"}) == []


@pytest.mark.parametrize(
    ("first", "second", "distance"), [("", "ab", 2), ("rate", "raet", 1), ("abc", "abc", 0), ("abc", "xyz", 3)]
)
def test_the_distance_counts_letters_that_differ(first: str, second: str, distance: int) -> None:
    assert edit_distance(first, second) == edit_distance(second, first) == distance


# Malformed settings do not hide the others


def test_malformed_settings_leave_the_others_unchanged() -> None:
    os.environ.update(SEGMENT_RATE="fast", STALL_S="1", MAVERA_RATE="120")
    settings, problems = read_settings()
    assert (settings.segment_rate, settings.stall_s, settings.mavera_rate) == (50, 15, 120)
    assert len(problems) == 2
    assert any("STALL_S must be at least" in str(one) for one in problems)


# Clients


def test_a_client_does_not_look_at_settings_of_workers_or_of_its_host() -> None:
    os.environ.update(LOG_LEVEL="trace", SEGMENT_RATE="50/x", MAX_CREDITS="many", MAVERA_BASE_URL="nowhere")
    assert load_client_config().stall_s == 15


def test_a_client_reads_what_it_shares_with_workers() -> None:
    os.environ.update(STALL_S="30s", REDIS_PREFIX="p:", MAVERA_API_KEY="k", MAVERA_BASE_URL="https://m/v1")
    config = load_client_config()
    assert (config.stall_s, config.redis_prefix, config.mavera_base_url) == (30, "p:", "https://m/v1")


def test_a_client_names_a_malformed_variable_that_it_needs() -> None:
    os.environ.update(STALL_S="soon")
    with pytest.raises(ConfigurationError, match="STALL_S"):
        load_client_config()
