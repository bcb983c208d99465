"""`suggest`: a sample of a space over HTTP, what it holds on standard error, a file for it on standard output."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from producer.cli.commands.suggest import Sample, run_suggest
from producer.cli.terminal import stderr
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.servers.scripted_segment import people, scripted
from worker.clusters.rules.toml_file import parse_rules
from worker.errors import ConfigurationError
from worker.settings import Settings, load_settings


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    spaces = {"spa_1": SpaceSpec(500, "saas", seed=2), "empty": SpaceSpec(0)}
    async with Sandbox(SandboxOptions(spaces)) as box:
        yield box


def settings_of(sandbox: Sandbox, *, profile_api: bool = False) -> Settings:
    return load_settings(
        segment_token="sandbox",
        segment_dialect="profile-api" if profile_api else "inline",
        segment_base_url=sandbox.profile_api_url if profile_api else sandbox.segment_url,
        segment_rate=1e5,
        segment_space_id=None,
    )


async def run(settings: Settings, space_id: str | None = "spa_1", **options: Any) -> int:
    json = options.pop("json", False)
    return await run_suggest(settings, stderr(), Sample(space_id, **options), json=json)


async def test_the_file_goes_to_standard_output_and_what_was_found_to_standard_error(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings_of(sandbox)) == 0
    out, err = capsys.readouterr()
    assert parse_rules(out).cluster_keys[0] == "on_trial"
    assert "500 profiles" in err
    assert "personal, by its name" in err
    assert "% yes" in err
    assert "half below" in err
    assert "days ago" in err
    for personal in ("@", "Private"):
        assert personal not in out + err
    assert dict(sandbox.journal.arrived) == {"segment.page": 3}


async def test_no_more_profiles_are_read_than_asked_for_and_of_each_every_trait(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(settings_of(sandbox, profile_api=True), profiles=130, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["profiles"] == 130
    assert {"email", "feature_adoption", "active_modules"} <= {key["key"] for key in found["keys"]}
    assert not {"in_unit", "in_hundred"} & set(found["keys"][0])
    assert parse_rules(found["file"]).clusters
    assert dict(sandbox.journal.arrived) == {"segment.profiles": 2, "segment.traits": 130}


async def test_a_space_without_profiles_says_so(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(settings_of(sandbox), "empty") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Define computed traits in Segment" in err
    assert await run(settings_of(sandbox), "empty", json=True) == 1
    assert json.loads(capsys.readouterr().out) == {"profiles": 0, "keys": [], "file": None}


async def test_a_file_is_looked_at_like_a_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "profiles.ndjson"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in profiles(SpaceSpec(700, "saas"))))
    bare = load_settings(segment_token=None, segment_space_id=None)
    assert await run(bare, None, files=(str(file),), profiles=600, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["profiles"], parse_rules(found["file"]).cluster_keys[0]) == (600, "on_trial")
    with pytest.raises(ConfigurationError, match="does not exist"):
        await run(bare, None, files=(str(tmp_path / "nowhere"),))


async def test_made_up_profiles_need_no_keys(capsys: pytest.CaptureFixture[str]) -> None:
    bare = load_settings(segment_token=None, segment_base_url=None, segment_dialect="inline")
    assert await run(bare, "saas", sandbox=True, profiles=200) == 0
    assert parse_rules(capsys.readouterr().out).filter


async def test_what_cannot_be_looked_at_is_named(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox)
    with pytest.raises(ConfigurationError, match="No space is given"):
        await run(settings, None)
    with pytest.raises(ConfigurationError, match="'a b' is not a valid space id"):
        await run(settings, "a b")
    with pytest.raises(ConfigurationError, match="404 Space unknown was not found"):
        await run(settings, "unknown")
    with pytest.raises(ConfigurationError, match="SEGMENT_TOKEN"):
        await run(settings.model_copy(update={"segment_token": None}))
    sandbox.add_fault(Fault("segment", "drop"))
    with pytest.raises(ConfigurationError) as refused:
        await run(settings)
    assert "Check the base URL" in refused.value.hint


async def test_a_list_that_breaks_off_is_a_sample_only_if_it_was_enough(capsys: pytest.CaptureFixture[str]) -> None:
    page = {"data": {"profiles": people(0, 200), "cursor": {"has_more": True}}}
    async with scripted({"spa_1": lambda _: page}) as segment:
        settings = load_settings(
            segment_token="t", segment_dialect="inline", segment_base_url=segment.url, segment_rate=1e5
        )
        with pytest.raises(ConfigurationError, match=r"there is more, but has no cursor.+data.cursor: has_more"):
            await run(settings)
        assert len(segment.calls["spa_1"]) == 3
        assert await run(settings, profiles=200) == 0


async def test_a_profile_that_cannot_be_read_is_left_out(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.add_fault(Fault("segment", "status", route="traits", profile=3, status=400))
    assert await run(settings_of(sandbox, profile_api=True), profiles=20) == 0
    assert "20 profiles" in capsys.readouterr().err  # one more was read
