"""Reads values as people write them (`50/s`, `5%`, `2h`), and describes each value that a model does not accept.

The settings, the options of the command line and the fields of a request share both. A sentence says what is expected
with an example, and never shows the value: it may be a secret.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

MOST_EXACT = 2**53 - 1
"""The largest integer that every JSON reader represents exactly; too large to be worth a word in a message."""

_NUMBER = r"[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})"
_PLAIN = re.compile(rf"({_NUMBER})\s*([A-Za-z%/µ]*(?:\s*(?:a|per|/)\s*[A-Za-z]+)?)", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[,_]\d{3})+(?=\D|$)", re.ASCII)
_SPAN = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)\s*", re.ASCII)

_SECONDS = {
    "": 1.0,
    "ms": 0.001,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}
_PER = {name: seconds for name, seconds in _SECONDS.items() if seconds in (1.0, 60.0, 3600.0) and name}
_MIB = {"": 1.0, "mb": 1.0, "mib": 1.0, "m": 1.0, "kb": 1 / 1024, "kib": 1 / 1024, "gb": 1024.0, "gib": 1024.0}


@dataclass(frozen=True)
class Expected:
    """The expectation of a field, beyond its type and bounds.

    Attributes:
        what: The phrase after "must be", such as "a number of seconds"; empty: derived from the type.
        example: A value to copy.
    """

    what: str = ""
    example: str = ""


def read_seconds(value: Any) -> Any:
    """`2h`, `1h30m`, `500ms` or a number, in seconds. Any other value is returned unchanged."""
    if not isinstance(value, str):
        return value
    text, total, position = _ungroup(value), 0.0, 0
    while position < len(text):
        part = _SPAN.match(text, position)
        if part is None or (factor := _SECONDS.get(part[2].lower())) is None:
            return value
        if not part[2] and (position or part.end() < len(text)):
            return value
        total += float(part[1]) * factor
        position = part.end()
    return total if position else value


def read_days(value: Any) -> Any:
    """`7d`, `12h`, `2w` or a number of days. Any other value is returned unchanged."""
    number, unit = _split(value)
    if number is None or unit.lower() not in _SECONDS:
        return value
    return number if not unit else number * _SECONDS[unit.lower()] / 86_400


def read_share(value: Any) -> Any:
    """`5%` or a number. Any other value is returned unchanged."""
    number, unit = _split(value)
    if number is None or unit not in {"", "%"}:
        return value
    return number / 100 if unit else number


def read_percent(value: Any) -> Any:
    """Returns a number of percent, with or without the sign. Any other value is returned unchanged."""
    number, unit = _split(value)
    return value if number is None or unit not in {"", "%"} else number


def read_mib(value: Any) -> Any:
    """`32MB`, `1GiB` or a number of MiB. Any other value is returned unchanged."""
    number, unit = _split(value)
    return value if number is None or unit.lower() not in _MIB else number * _MIB[unit.lower()]


def read_count(value: Any) -> Any:
    """Returns a number, perhaps with separated thousands (`1,000`). Anything else is returned unchanged."""
    number, unit = _split(value)
    if number is None or unit or not isinstance(value, str):
        return value
    return _ungroup(value)


def rate_reader(window_s: float) -> Callable[[Any], Any]:
    """Returns a reader of rates (`50/s`, `60 per minute`, `50 rps`) that gives requests in `window_s` seconds."""

    def read(value: Any) -> Any:
        number, unit = _split(value)
        if number is None:
            return value
        unit = unit.lower()
        unit = {"rps": "/s", "rpm": "/m", "hz": "/s"}.get(unit, unit)
        if not unit:
            return _ungroup(value) if isinstance(value, str) else value
        per = re.fullmatch(r"(?:req|reqs|requests)?\s*(?:/|per|a)\s*([a-z]+)", unit)
        if per is None or per[1] not in _PER:
            return value
        rate = number * window_s / _PER[per[1]]
        return int(rate) if rate == int(rate) else rate

    return read


def read_with(reader: Callable[[Any], Any], what: str, example: str) -> tuple[BeforeValidator, Expected]:
    """Returns the metadata of a field that is read by `reader`: unpack it into `Annotated`."""
    return BeforeValidator(reader), Expected(what, example)


def describe_problem(model: type[BaseModel], problem: ErrorDetails) -> str:
    """Returns one sentence about a value that `model` does not accept; it follows the field's name.

    Sentences of our own validators stay; those of pydantic are replaced by what the field expects.
    """
    if problem["type"] in {"value_error", "assertion_error"}:
        return problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    field = _find_field(model, problem["loc"])
    if problem["type"] == "extra_forbidden" or field is None:
        return "is not known here" if problem["type"] == "extra_forbidden" else problem["msg"]
    return f"must be {describe_field(field)}"


def describe_rules_problem(model: type[BaseModel], problem: ErrorDetails) -> str:
    """Returns one sentence about a value inside the rules of `model`, whose own sentences stay. No pattern is shown."""
    field = _find_field(model, problem["loc"])
    if problem["type"] == "string_pattern_mismatch" and field is not None and field.description:
        return f"is not possible. {field.description}"
    return problem["msg"].removeprefix("Value error, ")


def describe_field(field: FieldInfo) -> str:
    """Returns what a field accepts: `a whole number from 1 to 200, such as 200`."""
    metadata = [*_metadata(field)]
    expected = next((one for one in metadata if isinstance(one, Expected)), Expected())
    choices = [*_choices(field.annotation)]
    if choices and not expected.what:
        return f"one of: {', '.join(map(str, choices))}"
    what = expected.what or _noun(field.annotation)
    bounds = _bounds(metadata)
    text = f"{what},{bounds}" if expected.what and bounds.endswith("characters") else what + bounds
    example = expected.example or _example(field)
    return f"{text}, such as {example}" if example else text


def _find_field(model: type[BaseModel], path: Sequence[int | str]) -> FieldInfo | None:
    """Returns the innermost field on a path; a part of the path may also be the member of a union or an index."""
    found, within = None, [model]
    for part in path:
        field = next((one.model_fields[part] for one in within if part in one.model_fields), None)
        if field is not None:
            found, within = field, [*_models(field.annotation)]
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _split(value: Any) -> tuple[float | None, str]:
    """Returns the number at the start of a text, and the unit after it; None if it does not begin with a number."""
    if not isinstance(value, str):
        return None, ""
    found = _PLAIN.fullmatch(_ungroup(value))
    return (float(found[1]), found[2].strip()) if found else (None, "")


def _ungroup(text: str) -> str:
    text = text.strip()
    return _GROUPED.sub(lambda found: re.sub("[,_]", "", found[0]), text, count=1)


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    yield from _nested_metadata(field.annotation)


def _nested_metadata(annotation: Any) -> Iterator[Any]:
    for argument in get_args(annotation):
        for one in getattr(argument, "__metadata__", ()):
            yield from one.metadata if isinstance(one, FieldInfo) else [one]
        yield from _nested_metadata(argument)


def _choices(annotation: Any) -> Iterator[object]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    for argument in get_args(annotation):
        yield from _choices(argument)


def _noun(annotation: Any) -> str:
    kinds = {annotation, *_nested_types(annotation)}
    for kind, noun in ((bool, "true or false"), (int, "a whole number"), (float, "a number")):
        if kind in kinds:
            return noun
    return "an object" if any(_models(annotation)) else "text"


def _nested_types(annotation: Any) -> Iterator[Any]:
    """Yields the members of a union, also those with metadata."""
    for argument in get_args(annotation) if get_origin(annotation) in {Union, UnionType, Annotated} else ():
        yield argument
        yield from _nested_types(argument)


def _bounds(metadata: list[Any]) -> str:
    names = ("gt", "ge", "lt", "le", "max_length")
    found = {name: value for one in metadata for name in names if (value := getattr(one, name, None)) is not None}
    if found.get("le") == MOST_EXACT:
        del found["le"]
    if "ge" in found and "le" in found:
        return f" from {_figure(found['ge'])} to {_figure(found['le'])}"
    words = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
    bounds = [f"{word} {_figure(found[name])}" for name, word in words.items() if name in found]
    if not bounds and "max_length" in found:
        return f" of at most {found['max_length']} characters"
    return f" {' and '.join(bounds)}" if bounds else ""


def _figure(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _example(field: FieldInfo) -> str:
    default = field.default
    return f"{default:g}" if isinstance(default, int | float) and not isinstance(default, bool) else ""


_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
"""Length of a secret of webhooks, in bytes, as Standard Webhooks has it."""


def read_webhook_secrets(text: str) -> tuple[bytes, ...]:
    """Reads one or several secrets of webhooks, separated by spaces.

    Raises:
        ValueError: One of them is not `whsec_` and base64 of 24 to 64 bytes. The message does not contain it.
    """
    secrets = tuple(map(_webhook_secret, text.split()))
    if not all(secrets) or not secrets:
        raise ValueError("must be whsec_ and base64 of 24 to 64 bytes; several are separated by spaces")
    return secrets


def _webhook_secret(text: str) -> bytes:
    """Returns the bytes of a secret; empty if it is malformed."""
    coded = text.removeprefix(_SECRET_PREFIX).rstrip("=")
    try:
        secret = b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except ValueError:
        return b""
    return secret if text.startswith(_SECRET_PREFIX) and len(secret) in _SECRET_BYTES else b""
