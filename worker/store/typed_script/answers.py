"""Converts a script's answer to the type that its signature names.

An answer is a Lua list that begins with a word. The signature's return annotation is a union of

- None: the word is `ok`, or `applied` for a commit that had arrived before;
- a `StrEnum`: the word is one of its values, and nothing follows;
- a dataclass with `word: ClassVar[str]`: its fields follow in order.

A field is `int`, `bool`, `str` or `bytes`; or, from a nested list, `dict[str, str]` (names and values), a dataclass
(its fields), or a tuple of any number of one type.

Three answers are the same for all scripts and become errors: `broken` (a key holds another type), `stale` (the job no
longer owns the sync) and `conflict` (the job owns the sync, but another commit was first).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from worker.errors import LeaseLost

DONE = ("ok", "applied")
"""Words of the answer None."""
STALE, CONFLICT, BROKEN = "stale", "conflict", "broken"

Parse = Callable[[Any], Any]


@dataclass(frozen=True)
class Answers:
    """The answers that a script may give.

    Attributes:
        parsers: Word → parser of the parts after the word.
    """

    parsers: Mapping[str, Callable[[Sequence[Any]], Any]]

    @classmethod
    def of(cls, annotation: Any) -> Answers:
        """Returns the answers that a return annotation allows.

        Raises:
            TypeError: The annotation is not one of those described above.
        """
        is_union = get_origin(annotation) in (Union, types.UnionType)
        parsers: dict[str, Callable[[Sequence[Any]], Any]] = {}
        for member in get_args(annotation) if is_union else (annotation,):
            if member in (None, types.NoneType):
                parsers |= dict.fromkeys(DONE, _constant(None))
            elif isinstance(member, type) and issubclass(member, StrEnum):
                parsers |= {word.value: _constant(word) for word in member}
            elif isinstance(member, type) and is_dataclass(member) and hasattr(member, "word"):
                parsers[member.word] = _record(member)
            else:
                raise TypeError(f"a script does not answer {member}")
        return cls(parsers)

    def parse(self, name: str, answer: Sequence[Any]) -> Any:
        """Returns the answer of the script `name` as its type.

        Raises:
            LeaseLost: The job no longer owns the sync, or another commit was first.
        """
        word = answer[0].decode()
        if word == STALE:
            raise LeaseLost(f"the sync is now {answer[1].decode()}, epoch {answer[2].decode()}")
        if word == CONFLICT:
            raise LeaseLost(answer[1].decode())
        if word not in self.parsers:
            raise ValueError(f"{name}.lua answered {word!r}; its signature names {', '.join(self.parsers)}")
        return self.parsers[word](answer[1:])


def _constant(value: object) -> Callable[[Sequence[Any]], Any]:
    return lambda _: value


def _record(kind: type) -> Callable[[Sequence[Any]], Any]:
    hints = get_type_hints(kind)
    parsers = [_field(hints[one.name]) for one in fields(kind)]
    return lambda parts: kind(*(parse(part) for parse, part in zip(parsers, parts, strict=True)))


def _field(annotation: Any) -> Parse:
    if annotation is bytes:
        return lambda part: part
    if annotation is str:
        return lambda part: part.decode()
    if annotation is int:
        return int
    if annotation is bool:
        return lambda part: int(part) == 1
    if annotation == dict[str, str]:
        return lambda part: dict(zip(*([text.decode() for text in part[i::2]] for i in (0, 1)), strict=True))
    if isinstance(annotation, type) and is_dataclass(annotation):
        return _record(annotation)
    if get_origin(annotation) is tuple:
        parse = _field(get_args(annotation)[0])
        return lambda part: tuple(map(parse, part))
    raise TypeError(f"a script does not answer {annotation}")
