"""Type checks for reading an aggregate from JSON.

Each function returns its argument with a type or raises ValueError. Messages do not quote values.
"""

from math import isfinite

import orjson


class NewerVersion(ValueError):
    """A stored document has a version that only a newer segment-personas reads.

    Attributes:
        version: That version.
    """

    def __init__(self, document: str, version: int, known: int) -> None:
        super().__init__(f"version {version} of {document}: this segment-personas reads up to version {known}")
        self.version = version


def check_version(document: str, version: object, known: int) -> int:
    """Returns the version of a stored document. None: it has none, and so is of version 1.

    Raises:
        NewerVersion: It is greater than `known`.
        ValueError: It is not a version.
    """
    found = 1 if version is None else count(version)
    if found > known:
        raise NewerVersion(document, found, known)
    return found


def check_document_version(document: str, text: str | bytes, known: int) -> None:
    """Checks the version of a stored JSON document, before anything else of it is read.

    Raises:
        NewerVersion: It is greater than `known`.
        ValueError: This is not a JSON object.
    """
    check_version(document, dict(items(orjson.loads(text))).get("version"), known)


def fields(value: object, *names: str) -> list[object]:
    """Returns the values of an object that has at least these fields, in this order. Other fields are ignored."""
    if not isinstance(value, dict) or not value.keys() >= set(names):
        raise ValueError(f"expected an object with the fields {', '.join(names)}")
    return [value[name] for name in names]


def items(value: object) -> list[tuple[str, object]]:
    """Returns the items of an object with any fields."""
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - the stored bytes are at fault, not a caller
    return list(value.items())


def count(value: object) -> int:
    """Checks that this is an integer of 0 or more."""
    if type(value) is not int or value < 0:
        raise ValueError("expected a count")
    return value


def integers(value: object) -> list[int]:
    """Checks that this is a list of integers."""
    if not isinstance(value, list) or not set(map(type, value)) <= {int}:
        raise ValueError("expected a list of integers")
    return value


def floats(value: object) -> list[float]:
    """Checks that this is a list of finite floats."""
    if not isinstance(value, list) or not all(type(item) is float and isfinite(item) for item in value):
        raise ValueError("expected a list of floats")
    return value
