"""The settings: defaults that fit each other, and malformed ones that are named without a word of their value."""

from __future__ import annotations

import os
from base64 import b64encode

import pytest
from pydantic import ValidationError

from worker.errors import ConfigurationError
from worker.settings import CLAIM_DEADLINE_S, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


# Defaults


def test_the_defaults_are_those_that_the_design_names() -> None:
    settings = load_settings()
    assert settings.segment_token is None
    assert settings.mavera_api_key is None
    assert settings.redis_url is None
    assert settings.segment_url("inline") == "https://api.segmentapis.com"
    assert settings.mavera_base_url == "https://app.mavera.io/api/v1"
    assert (settings.segment_rate, settings.segment_page_size) == (50, 200)
    assert (settings.mavera_rate, settings.mavera_gap_s) == (60, 0.3)
    assert (settings.lease_s, settings.heartbeat_s, settings.stall_s, settings.max_revivals) == (20, 5, 15, 5)
    assert settings.commit_interval_s == 0.25


def test_the_default_times_fit_each_other_with_room() -> None:
    settings = load_settings()
    assert settings.stall_s >= 3 * settings.heartbeat_s
    assert settings.mavera_settle_s >= settings.mavera_timeout_s + CLAIM_DEADLINE_S + 5
    assert settings.retry_after_max_s < settings.retry_budget_s


def test_a_week_is_kept_in_milliseconds() -> None:
    assert load_settings().retention_ms == 604_800_000
    assert load_settings(retention_days=0.5).retention_ms == 43_200_000


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


# The environment


def test_every_setting_is_read_from_the_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {
        "segment_base_url": "http://127.0.0.1:1",
        "mavera_base_url": "http://127.0.0.1:2/v1",
        "redis_url": "redis://127.0.0.1:3/4",
        "log_level": "DEBUG",
        "log_format": "json",
        "segment_dialect": "profile-api",
        "segment_region": "eu",
        "stall_s": "33",
        "duckdb_memory": "512",
        "files_url": "s3://exports/",
        "mavera_settle_s": "44",
        "guard_profiles": "0.25",
        "guard_coverage": "0.25",
        "guard_trait_errors": "0.25",
        "guard_profile_errors": "0.25",
        "guard_personas": "0.25",
        "warehouse_url": "postgresql://user:eleven@host/db",
        "webhook_url": "http://127.0.0.1:5/hooks",
        "webhook_secret": f"whsec_{b64encode(bytes(32)).decode()}",
        "webhook_format": "slack",
        "webhook_events": "sync.failed, credits.low",
    }
    values = {name: others.get(name, "11") for name in Settings.model_fields}
    for name, value in values.items():
        monkeypatch.setenv(name.upper(), value)
    settings = load_settings()
    for name, value in values.items():
        found = getattr(settings, name)
        text = found.get_secret_value() if hasattr(found, "get_secret_value") else str(found)
        assert text.removesuffix(".0") == value, name


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert load_settings() == load_settings(log_level="INFO")


def test_an_override_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENT_RATE", "7")
    assert load_settings(segment_rate=8).segment_rate == 8


def test_variables_of_others_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENT_UNKNOWN", "x")
    assert load_settings() == load_settings(log_level="INFO")
    assert os.environ["SEGMENT_UNKNOWN"] == "x"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load_settings().lease_s = 1


# Malformed settings

NUMBERS = sorted(name for name, field in Settings.model_fields.items() if field.annotation in (int, float))


@pytest.mark.parametrize(
    "value", ["s3cr3t-word", "-7771", "inf", "nan", "7771e300", pytest.param("1" + "0" * 5000, id="5001 digits")]
)
def test_a_malformed_number_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in NUMBERS:
        with monkeypatch.context() as one:
            message = refusal(one, **{name.upper(): value})
        assert name.upper() in message
        assert value not in message, name
        assert "7771" not in message, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SEGMENT_RATE", "0"),
        ("SEGMENT_PAGE_SIZE", "0"),
        ("SEGMENT_PAGE_SIZE", "201"),
        ("MAVERA_RATE", "0"),
        ("MAVERA_RATE", "1.5"),
        ("WORKER_SLOTS", "0"),
        ("WORKER_SLOTS", "1001"),
        ("LEASE_S", "0"),
        ("POLL_S", "0"),
        ("MAX_BODY_MB", "1025"),
        ("MAX_EMPTY_PAGES", "0"),
        ("RETENTION_DAYS", "0"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_setting_out_of_its_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert refusal(monkeypatch, **{name: value}).startswith(f"Malformed setting: {name}: ")


def test_all_malformed_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, SEGMENT_RATE="fast", LOG_LEVEL="LOUD", SEGMENT_TOKEN="a\nb")
    assert all(f"{name}: " in message for name in ("SEGMENT_RATE", "LOG_LEVEL", "SEGMENT_TOKEN"))
    assert all(value not in message for value in ("fast", "LOUD", "a\nb"))


def test_a_validation_error_of_the_model_shows_no_value_either() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"segment_token": "s3cr3t\nword", "segment_rate": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


# Secrets

TOKENS = ["SEGMENT_TOKEN", "MAVERA_API_KEY"]


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("around", ["{}\n", "  {}", "\t{} \r\n", "{}"])
def test_space_around_a_token_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch, name: str, around: str) -> None:
    monkeypatch.setenv(name, around.format("s3cr3t-~!"))
    assert getattr(load_settings(), name.lower()).get_secret_value() == "s3cr3t-~!"


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize(
    "value",
    ["s3cr3t\r\nX-Evil: 1", "s3cr3t\nword", "s3cr3t\x7f", "s3cr3t\x1b[0m", "Bearer s3cr3t", "s3cr3té", "s3cr3t\u200b"],
)
def test_a_token_that_could_break_a_header_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    message = refusal(monkeypatch, **{name: value})
    assert message == f"Malformed setting: {name}: must be the bare token: printable ASCII without spaces"


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("blank", ["  \n", '""', "\r"])
def test_a_blank_token_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, name: str, blank: str) -> None:
    monkeypatch.setenv(name, blank)
    assert getattr(load_settings(), name.lower()) is None


def test_space_around_the_redis_url_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", " redis://:pass word@h/0\n")
    url = load_settings().redis_url
    assert url
    assert url.get_secret_value() == "redis://:pass word@h/0"


def test_no_secret_is_shown_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TOKENS, "REDIS_URL"):
        monkeypatch.setenv(name, "redis://s3cr3t")
    assert "s3cr3t" not in repr(load_settings())
    assert "s3cr3t" not in load_settings().model_dump_json()


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        ({}, ["segment_token"], "SEGMENT_TOKEN is not set."),
        (
            {"redis_url": "redis://h"},
            ["redis_url", "segment_token", "mavera_api_key"],
            "SEGMENT_TOKEN, MAVERA_API_KEY are not set.",
        ),
    ],
)
def test_what_a_worker_needs_is_named_by_its_variable(given: dict[str, object], names: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**given).require(*names)
    assert str(caught.value) == message
    assert "Export" in caught.value.hint


def test_what_is_set_is_not_asked_for() -> None:
    load_settings(segment_token="t", mavera_api_key="k").require("segment_token", "mavera_api_key")


# URLs

URLS = ["SEGMENT_BASE_URL", "MAVERA_BASE_URL"]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://api.example", "https://api.example"),
        (" https://api.example/v1/ \n", "https://api.example/v1"),
        ("http://127.0.0.1:8000//", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_base_url_is_kept_without_its_end(monkeypatch: pytest.MonkeyPatch, name: str, value: str, kept: str) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(load_settings(), name.lower()) == kept


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "value",
    [
        "s3cr3t.example",
        "s3cr3t",
        "ftp://s3cr3t.example",
        "https://",
        "https:///s3cr3t",
        "https://[s3cr3t",
        "https://h:s3cr3t",
        "https://user:s3cr3t:1@h",
        "https://h:0/s3cr3t",
        "https://h:99999999",
        "https://s3cr3t.example/a b",
        "https://s3cr3t.ex\nample",
        "https://s3cr3té.example",
    ],
)
def test_a_malformed_base_url_is_named_and_never_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    message = refusal(monkeypatch, **{name: value})
    assert message.startswith(f"Malformed setting: {name}: must be ")
    assert "s3cr3t" not in message


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "value",
    ["https://user:s3cr3t@h", "https://s3cr3t@h/v1", "https://h/v1?key=s3cr3t", "https://h/#s3cr3t", "https://h?"],
)
def test_a_base_url_carries_no_credentials(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    message = refusal(monkeypatch, **{name: value})
    assert message == f"Malformed setting: {name}: must be a URL without a user, a query and a fragment"


# Times that must fit each other


def test_a_job_must_not_be_counted_as_lost_between_two_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, HEARTBEAT_S="8")
    assert message == (
        "Malformed setting: STALL_S must be at least twice HEARTBEAT_S, otherwise a running job counts as lost"
    )
    assert load_settings(heartbeat_s=8, stall_s=16).stall_s == 16


def test_a_post_must_not_be_counted_as_lost_while_it_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    message = refusal(monkeypatch, MAVERA_TIMEOUT_S="23.5")
    assert "MAVERA_SETTLE_S must be at least MAVERA_TIMEOUT_S + 2, " in message
    assert load_settings(mavera_timeout_s=23, mavera_settle_s=25).mavera_settle_s == 25


@pytest.mark.parametrize(
    ("segment", "mavera", "names"),
    [
        (None, "https://app.mavera.io", ()),
        ("http://127.0.0.1:1", "http://localhost:1", ()),
        ("http://[::1]:1", "https://x", ()),
        ("http://segment.example", "https://x", ("SEGMENT_BASE_URL",)),
        ("http://10.0.0.1", "http://mavera:8000", ("SEGMENT_BASE_URL", "MAVERA_BASE_URL")),
    ],
)
def test_plain_http_to_another_machine_is_warned_of(segment: str | None, mavera: str, names: tuple[str, ...]) -> None:
    settings = load_settings(segment_base_url=segment, mavera_base_url=mavera)
    assert settings.unprotected_urls == names
    assert all(name in settings.unprotected_warning for name in names)
    assert bool(settings.unprotected_warning) == bool(names)


@pytest.mark.parametrize("url", ["hooks.example.com", "ftp://example.com", "https://user@example.com"])
def test_a_webhook_url_that_cannot_be_used_is_refused_without_its_value(url: str) -> None:
    with pytest.raises(ConfigurationError, match="WEBHOOK_URL: must be") as caught:
        load_settings(webhook_url=url, webhook_format="slack")
    assert url not in str(caught.value)


def test_only_known_types_of_events_can_be_chosen() -> None:
    for text in ("sync.done", ",", "sync.failed sync.finished"):
        with pytest.raises(ConfigurationError, match="WEBHOOK_EVENTS: must be one or several of"):
            load_settings(webhook_events=text)


def test_webhooks_are_signed_unless_they_go_to_slack() -> None:
    with pytest.raises(ConfigurationError, match="WEBHOOK_SECRET must be set"):
        load_settings(webhook_url="https://example.com/hooks")
    assert load_settings(webhook_url="https://example.com/hooks", webhook_format="slack").webhook_secret is None
