"""The JSON schema of rules, by which an editor completes and checks a clusters file."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from tests.support.rules import RULES_FILE
from worker.clusters.rules.builtin import BUILTIN_RULES
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.toml_file import schema


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema()["$defs"][part["$ref"].rsplit("/", 1)[1]]
    return found


def test_the_schema_describes_every_field_and_knows_no_null() -> None:
    document = schema()
    assert "null" not in str(document)
    assert set(document["properties"]) == set(Rules.model_fields)
    condition = resolve(document["properties"]["filter"])
    assert {"in", "not", "trait", "missing"} <= set(condition["properties"])
    for model in (document, *document["$defs"].values()):
        assert all("description" in field for field in model.get("properties", {}).values())
        assert model.get("additionalProperties", False) is False


@pytest.mark.parametrize("name", BUILTIN_RULES)
def test_every_shipped_file_fits_the_schema(name: str) -> None:
    jsonschema.validate(tomllib.loads(BUILTIN_RULES[name]), schema())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type = "number"', 'type = "numbr"'),
        ("missing = 0", "mising = 0"),
        ('key = "rest"', ""),
        ("gt = 100", 'gt = 100, all = [{ trait = "spend", gt = 1 }]'),
    ],
)
def test_an_editor_finds_mistakes_by_the_schema(old: str, new: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(RULES_FILE.replace(old, new)), schema())
