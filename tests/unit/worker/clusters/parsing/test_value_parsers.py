"""Which values of a trait are usable, which are missing, and which are errors."""

from functools import partial
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.parsing.value_parsers import (
    category_column,
    number_column,
    parse_category,
    parse_number,
    read_trait_column,
)

amounts = partial(number_column, lowest=-1e15, highest=1e15)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars
    | st.sampled_from(
        [10**400, -(10**400), "1_0", "\ud800", " ", "7", "-0.5", "x" * 81, "N/A", "\x00", "a\u202e", "<b>"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (-0.0, 0),
        (7, 7),
        (-12.5, -12.5),
        (1e15, 1e15),
        (-(10**15), -1e15),
        ("0", 0),
        ("-12.50", -12.5),
        ("+3", 3),
        ("1e3", 1000),
        ("2.5E-1", 0.25),
        (".5", 0.5),
        ("5.", 5),
        (" 12\n", 12),
        ("000000000000000000000007", 7),
    ],
)
def test_a_finite_number_or_a_plain_decimal_is_a_number(value: object, number: float) -> None:
    assert parse_number(value, -1e15, 1e15) == number
    assert amounts([value]).values == [number]
    assert not amounts([value]).wrong


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        nan,
        inf,
        -inf,
        1.0000000000000002e15,
        10**15 + 1,
        10**400,
        -(10**400),
        "1_000",
        "nan",
        "inf",
        "Infinity",
        "1e400",
        "1e16",
        "0x10",
        "1,000",
        "$5",
        "٣",
        "５",
        "\u00a05",
        "1e",
        ".",
        "+",
        "--1",
        "1 2",
        " ",
        "abc",
        "9" * 5000,
        [],
        [1],
        {},
        {"value": 1},
    ],
)
def test_any_other_value_of_a_number_is_a_trait_error(value: object) -> None:
    assert parse_number(value, -1e15, 1e15) is None
    column = amounts([1, value, 2.5])
    assert (column.values, list(column.wrong), column.gaps) == ([1, None, 2.5], [1], True)


@pytest.mark.parametrize("value", [None, ""])
def test_null_and_the_empty_string_are_missing_and_no_error(value: object) -> None:
    for parse in (amounts, category_column):
        column = parse([value])
        assert (column.values, list(column.wrong), column.gaps) == ([None], [], True)


@pytest.mark.parametrize("place", range(3))
def test_not_a_number_is_found_at_any_place_of_a_clean_column(place: int) -> None:
    raw: list[object] = [1.0, 2.0, 3]
    raw[place] = nan
    assert list(amounts(raw).wrong) == [place]


def test_a_probability_lies_between_0_and_1_inclusive() -> None:
    column = number_column([0, 1, 0.5, -0.001, 1.001, "0.3", "1.5"], lowest=0.0, highest=1.0)
    assert column.values == [0, 1, 0.5, None, None, 0.3, None]
    assert list(column.wrong) == [3, 4, 6]


def test_a_megabyte_of_digits_is_read_in_linear_time() -> None:
    assert parse_number("0" * 1_000_000 + "x", -1e15, 1e15) is None
    assert parse_number("0" * 1_000_000, -1e15, 1e15) == 0


@pytest.mark.parametrize(
    ("value", "category"),
    [
        ("SaaS", "SaaS"),
        ("  Real \t\n estate ", "Real estate"),
        ("Gesundheit & Ärzte", "Gesundheit & Ärzte"),
        ("x" * 80, "x" * 80),
        (" " * 500 + "pro", "pro"),
    ],
)
def test_a_category_is_stripped_and_its_white_space_collapsed(value: str, category: str) -> None:
    assert parse_category(value) == category
    assert category_column([value]).values == [category]


@pytest.mark.parametrize("value", [" ", "\u00a0\n", " " * 200])
def test_a_blank_category_is_missing_and_no_error(value: str) -> None:
    column = category_column([value, "pro"])
    assert (column.values, list(column.wrong), column.gaps) == ([None, "pro"], [], True)


@pytest.mark.parametrize("value", [0, 1, 2.5, True, nan, [], ["SaaS"], {}, "x" * 81, "\ud800", 10**400])
def test_any_other_value_of_a_category_is_a_trait_error(value: object) -> None:
    assert parse_category(value) is None
    column = category_column(["pro", value, None, "pro"])
    assert (column.values, list(column.wrong), column.gaps) == (["pro", None, None, "pro"], [1], True)


def test_equal_members_of_a_set_are_all_counted_as_errors() -> None:
    assert list(category_column([1, True, 1.0, "a"]).wrong) == [0, 1, 2]


def test_a_trait_is_read_from_the_first_key_that_holds_a_usable_value() -> None:
    profiles: list[dict[str, object]] = [
        {"ltv": 1, "lifetime_value": 2},
        {"ltv": 0, "lifetime_value": 2},
        {"lifetime_value": 2},
        {"ltv": None, "lifetime_value": 2},
        {"ltv": "", "lifetime_value": "2"},
        {"other": 3},
    ]
    column = read_trait_column(profiles, ("ltv", "lifetime_value"), amounts)
    assert column.values == [1, 0, 2, 2, 2, None]
    assert (list(column.wrong), column.gaps) == ([], True)


def test_an_unusable_first_key_is_an_error_even_if_the_second_is_usable() -> None:
    column = read_trait_column([{"ltv": "n/a", "lifetime_value": 2}], ("ltv", "lifetime_value"), amounts)
    assert (column.values, list(column.wrong), column.gaps) == ([2], [0], False)


def test_a_profile_has_one_error_a_trait_however_many_keys_are_unusable() -> None:
    column = read_trait_column([{"ltv": 1}, {"ltv": "a", "lifetime_value": "b"}], ("ltv", "lifetime_value"), amounts)
    assert (column.values, list(column.wrong)) == ([1, None], [1])


def test_a_key_behind_the_usable_one_is_not_looked_at() -> None:
    column = read_trait_column([{"ltv": 1, "lifetime_value": "b"}, {}], ("ltv", "lifetime_value"), amounts)
    assert (column.values, list(column.wrong)) == ([1, None], [])


@given(st.lists(anything, max_size=8))
def test_a_column_gives_what_its_values_give_one_by_one(raw: list[object]) -> None:
    for column, parse in (
        (amounts(raw), partial(parse_number, lowest=-1e15, highest=1e15)),
        (category_column(raw), parse_category),
    ):
        assert column.values == [parse(value) for value in raw]
        assert column.gaps == (None in column.values)
        assert all(column.values[row] is None and raw[row] is not None for row in column.wrong)
