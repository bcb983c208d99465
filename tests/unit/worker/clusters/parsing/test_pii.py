"""Which values are refused as a category because they look like those of one person, and which are not."""

import pytest

from worker.clusters.parsing.pii import is_personal
from worker.clusters.parsing.value_parsers import category_column, list_column, parse_category


@pytest.mark.parametrize(
    "value",
    [
        "ada@example.com",
        "Ada Lovelace <ada.lovelace@mail.example.co.uk>",
        "mailto:ada",
        "+49 151 23456789",
        "+14155550123",
        "(555) 010-1234",
        "555-010-1234",
        "030/1234567",
        "call 0049 30 1234567",
        "call +49 30 1234567",
        "5550101234",
        "https://example.com/users/7",
        "www.example.com/ada",
        "ftp://example.com",
        "tel:5550100",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "F47AC10B58CC4372A5670E02B2C3D479",
        "user:f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "d41d8cd98f00b204e9800998ecf8427e",
        "12345678",
        "order 100234567",
        "4111 1111 1111 1111",
        "123-45-6789",
        "1984-03-12",
        "12/03/1984",
        "192.168.10.12",
        "2001:db8:85a3:8d3:1319:8a2e:370:7348",
        "use_2NxTpJ1kYbQ",
        "use_1",
        "cus_NffrFeUfNV2Hib",
        "user_123",
        "User-4711",
        "customer#10023",
        "uid:8812",
        "anon_7f",
        "2NxTpJ1kYbQ7vWc3ZrM5sLd9Xh1",
        "a1b2c3d4e5f6g7",
        "10.5281 7719.33",
        "DE89370400440532013000",
    ],
)
def test_addresses_numbers_and_ids_of_people_are_refused(value: str) -> None:
    assert is_personal(value)
    assert parse_category(value) is None
    column = category_column(["pro", value, "pro"])
    assert (column.values, list(column.wrong), column.gaps) == (["pro", None, "pro"], [1], True)
    lists = list_column([["pro", value]])
    assert (lists.values, list(lists.wrong)) == ([("pro",)], [0])


@pytest.mark.parametrize(
    "value",
    [
        "SaaS",
        "E-commerce",
        "Real estate",
        "B2B",
        "3M",
        "Web 2.0",
        "24/7",
        "24/7/365",
        "Fortune 500",
        "pro_2024",
        "Enterprise Plan 2024",
        "EnterprisePlan2024Annual",
        "plan_enterprise",
        "tier_premium2024",
        "iPhone 15 Pro",
        "2024-01",
        "2024-Q3",
        "2019-2021",
        "1",
        "10,000+",
        "> 1,000,000",
        "1000000",
        "$5,000,000",
        "51-200",
        "501 - 1000",
        "1001-5000",
        "1,001-5,000",
        "5001–10000",
        "10000-49999",
        "0-10000",
        "$10,000,000-$50,000,000",
        "v1.2.3",
        "Customer 360",
        "user",
        "use_case",
        "accounting",
        "identity",
        "a@b",
        "Re: Zero",
        "deadbeefcafe",
        "Größe 12",
        "東京 23区",
        "C++17",
    ],
)
def test_words_amounts_and_years_are_categories(value: str) -> None:
    assert not is_personal(value)
    assert parse_category(value) == value


def test_a_long_value_costs_little_to_look_at() -> None:
    """A pattern that goes back to where it began would take minutes."""
    for value in ("1-" * 50, "a1" * 50, "0" * 100, "a.b+c-" * 16 + ":", "@" * 100, "1,1" * 33, "9" * 99 + "x"):
        is_personal(value)
