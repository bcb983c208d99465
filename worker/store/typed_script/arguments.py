"""Passes typed arguments to Lua: encodes them as `ARGV` entries, and makes the Lua expression that reads them.

| Python | `ARGV` | Lua |
|---|---|---|
| `int` | decimal digits | number |
| `float` | `%.17g` | number |
| `bool` | `1` or `0` | boolean |
| `str`, `bytes`, `Literal`, `StrEnum` | the text | string |
| `int \\| None`, `float \\| None` | as above, or empty | number or nil |
| `str \\| None` | the text, or empty | string, `''` for None |
| a dataclass | its fields in order | table with the fields by name |
| a dataclass or None | `1` or `0`, then its fields | table or nil |
| `tuple[T, ...]`, only as the last argument | each entry in order | list |

A field of a dataclass whose metadata says `{"sent": False}` is left out.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from typing_extensions import override

Slot = Callable[[int], str]
"""Renders the Lua expression of an `ARGV` entry, by its number counted from 0."""

Encoded = str | bytes | int


class Shape(Protocol):
    """The layout of one argument."""

    @property
    def size(self) -> int:
        """Number of its `ARGV` entries."""
        ...

    def encode(self, value: Any) -> list[Encoded]:
        """Returns the `ARGV` entries of a value."""
        ...

    def lua(self, slot: Slot) -> str:
        """Returns the Lua expression that reads the entries."""
        ...


@dataclass(frozen=True)
class Scalar(Shape):
    """One entry.

    Attributes:
        template: Lua expression with `{}` for the entry.
    """

    template: str = "{}"
    size: int = 1

    @override
    def encode(self, value: Any) -> list[Encoded]:
        return [encode_scalar(value)]

    @override
    def lua(self, slot: Slot) -> str:
        return self.template.format(slot(0))


@dataclass(frozen=True)
class Table(Shape):
    """A dataclass.

    Attributes:
        optional: None is allowed, and takes one entry more.
    """

    parts: tuple[tuple[str, Shape], ...]
    optional: bool = False

    @property
    @override
    def size(self) -> int:
        return sum(shape.size for _, shape in self.parts) + self.optional

    @override
    def encode(self, value: Any) -> list[Encoded]:
        if value is None:
            return [0, *[""] * (self.size - 1)]
        encoded = [entry for name, shape in self.parts for entry in shape.encode(getattr(value, name))]
        return [1, *encoded] if self.optional else encoded

    @override
    def lua(self, slot: Slot) -> str:
        at, members = int(self.optional), []
        for name, shape in self.parts:
            members.append(f"{name} = {shape.lua(_shifted(slot, at))}")
            at += shape.size
        table = f"{{ {', '.join(members)} }}"
        return f"{slot(0)} == '1' and {table} or nil" if self.optional else table


@dataclass(frozen=True)
class Rows:
    """Any number of entries of one shape, at the end of `ARGV`."""

    shape: Shape

    def encode(self, value: Any) -> list[Encoded]:
        """Returns the `ARGV` entries of a sequence of values."""
        return [entry for row in value for entry in self.shape.encode(row)]

    def lua(self, first: int) -> str:
        """Returns a Lua expression of the list.

        Args:
            first: Number of the first entry, from 1.
        """
        row = self.shape.lua(lambda number: f"ARGV[at + {number}]" if number else "ARGV[at]")
        return (
            "(function()\n"
            "  local rows = {}\n"
            f"  for at = {first}, #ARGV, {self.shape.size} do rows[#rows + 1] = {row} end\n"
            "  return rows\n"
            "end)()"
        )


def encode_scalar(value: str | bytes | float | bool | Enum | None) -> Encoded:
    """Returns one `ARGV` entry: integers as they are, floats as `%.17g`, None as empty text."""
    if value is None:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return f"{value:.17g}"
    return value


def shape_of(annotation: Any) -> Shape | Rows:
    """Returns the layout of an argument with this annotation.

    Raises:
        TypeError: Lua has no counterpart of the annotation.
    """
    if get_origin(annotation) is tuple and get_args(annotation)[1:] == (Ellipsis,):
        return Rows(_fixed(get_args(annotation)[0]))
    return _fixed(annotation)


def _fixed(annotation: Any) -> Shape:
    if get_origin(annotation) in (Union, types.UnionType):
        members = [one for one in get_args(annotation) if one is not types.NoneType]
        if len(members) == len(get_args(annotation)) or len(members) != 1:
            raise TypeError(f"a script takes no {annotation}")
        shape = _fixed(members[0])
        return Table(shape.parts, optional=True) if isinstance(shape, Table) else shape
    if get_origin(annotation) is Literal:
        return Scalar()
    if annotation is bool:
        return Scalar("({} == '1')")
    if annotation in (int, float):
        return Scalar("tonumber({})")
    if annotation in (str, bytes) or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return Scalar()
    if isinstance(annotation, type) and is_dataclass(annotation):
        hints = get_type_hints(annotation)
        sent = [one.name for one in fields(annotation) if one.metadata.get("sent", True)]
        return Table(tuple((name, _fixed(hints[name])) for name in sent))
    raise TypeError(f"a script takes no {annotation}")


def _shifted(slot: Slot, by: int) -> Slot:
    return lambda number: slot(number + by)
