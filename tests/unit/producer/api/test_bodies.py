"""Cursors, and what a body may be."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ValidationError

from producer.api.bodies import ListQuery, SpaceQuery, SyncOrder, decode_cursor, encode_cursor, invalid_problem
from worker.clusters import RECIPE
from worker.models.request import SyncRequest
from worker.store import SyncPlace


@pytest.mark.parametrize("place", [SyncPlace(0, "a"), SyncPlace(1_795_925_262_792, "syn_1.2~&"), SyncPlace(9, ".")])
def test_a_cursor_leads_back_to_its_place(place: SyncPlace) -> None:
    cursor = encode_cursor(place)
    assert decode_cursor(ListQuery(cursor=cursor).cursor) == place


def test_without_a_place_no_cursor_is_given() -> None:
    assert encode_cursor(None) is None
    assert decode_cursor(None) is None


@pytest.mark.parametrize("cursor", ["", "a", "é", "12", "12.", ".a", "x.a", "1" * 17 + ".a", "1.\n", "1.a b", "-1.a"])
def test_a_malformed_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError):
        ListQuery(cursor=cursor)


def test_a_request_is_what_python_callers_send() -> None:
    order = SyncOrder.model_validate_json('{"space_id": "spa", "max_credits": 5, "force": true}', strict=True)
    assert order.force
    assert order.request() == SyncRequest(space_id="spa", max_credits=5)
    assert order.request().model_dump_json() == SyncRequest(space_id="spa", max_credits=5).model_dump_json()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("{}", "/space_id"),
        ('{"space_id": "a b"}', "/space_id"),
        ('{"space_id": "a", "max_credits": "5"}', "/max_credits"),
        ('{"space_id": "a", "max_credits": 99999999999999999999}', "/max_credits"),
        ('{"space_id": "a", "max_profiles": 1.5}', "/max_profiles"),
        ('{"space_id": "a", "plan_only": 1}', "/plan_only"),
        ('{"space_id": "a", "a/b": 1}', "/a~1b"),
        ('{"space_id": "a", "rules": {"name": "x", "traits": [], "clusters": []}}', "/rules/traits"),
    ],
)
def test_a_body_that_is_not_valid_is_refused_with_its_place(body: str, where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SyncOrder.model_validate_json(body, strict=True)
    document = str(invalid_problem(SyncOrder, refused.value).response().body)
    assert where in document
    assert not any(words in document for words in ("Input should", "Field required", "Extra inputs", "String"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"space_id": "a b"}, "ASCII letters, digits and characters of . _ ~ -, such as spa_123"),
        ({"warehouse": "a;b.c.d.e"}, "schema.table"),
        ({"warehouse": "x" * 600}, "or auto, of at most 512 characters"),
        ({"warehouse": "t", "warehouse_columns": {"id": ""}}, "the name of a column, such as user_id"),
        ({"warehouse": "t", "warehouse_columns": "id"}, "must be an object"),
        ({"max_credits": -3}, "must be a whole number of at least 0"),
        ({"max_profiles": 0}, "must be a whole number of at least 1"),
        ({"max_profiles": 2**53}, "must be a whole number of at least 1"),
        ({"rules": {"name": "A B", "traits": [], "clusters": []}}, "Small letters, digits, _ and -"),
        ({"rules": {**RECIPE.as_json(), "traits": [{"name": "A", "type": "date"}]}}, "small letters, digits and _"),
    ],
)
def test_a_text_that_does_not_fit_a_pattern_is_refused_in_words(body: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SyncOrder.model_validate_json(json.dumps({"space_id": "a", **body}), strict=True)
    document = json.loads(str(invalid_problem(SyncOrder, refused.value).response().text))
    assert any(words in error["message"] for error in document["errors"]), document
    assert not any(regular in json.dumps(document) for regular in ("pattern", "[a-z", "^"))


@pytest.mark.parametrize(
    ("model", "query", "words"),
    [
        (ListQuery, {"space_id": "a b"}, "such as spa_123"),
        (ListQuery, {"cursor": "a b"}, "next_cursor"),
        (SpaceQuery, {"rules": "A B"}, "small letters"),
    ],
)
def test_a_query_that_does_not_fit_a_pattern_is_refused_in_words(
    model: type[BaseModel], query: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(query)
    (error,) = json.loads(str(invalid_problem(model, refused.value, pointer=False).response().text))["errors"]
    assert words in error["message"]


def test_an_integer_may_have_a_decimal_point() -> None:
    assert SyncOrder.model_validate_json('{"space_id": "a", "max_credits": 5.0}', strict=True).max_credits == 5


def test_a_problem_names_no_value_of_the_body() -> None:
    with pytest.raises(ValidationError) as refused:
        SyncOrder.model_validate_json('{"space_id": "top secret"}', strict=True)
    assert "secret" not in invalid_problem(SyncOrder, refused.value).response().body.decode()  # type: ignore[union-attr]
