"""Conditions: comparisons of traits, nested by `all`, `any` and `not`, and the check whether they can ever hold."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, model_validator

from worker.clusters.rules.trait import Trait, TraitType, Value, toml_text
from worker.clusters.rules.validation import Fault, Path, raise_faults, unknown_name

MAX_DEPTH = 10
"""How deep conditions may be nested."""

ORDERED = ("gt", "gte", "lt", "lte")
COMPARISONS = (*ORDERED, "eq", "in_", "missing")

ALLOWED: Mapping[TraitType, tuple[str, ...]] = {
    "number": COMPARISONS,
    "category": ("eq", "in_", "missing"),
    "boolean": ("eq", "missing"),
    "date": (*ORDERED, "missing"),
    "list": ("eq", "in_", "missing"),
}
"""The comparisons that each type of trait allows."""


_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "in": lambda value, others: value in others,
}

_EMPTY = 'the condition is empty: write which trait should be what, such as trait = "…", gt = 100, or leave it out'


def name_in_file(field: str) -> str:
    """Returns the name of a field as written in a file: `in` for `in_`."""
    return field.rstrip("_")


class Condition(BaseModel):
    """Either comparisons of one `trait`, all of which must hold, or one of `all`, `any` and `not`.

    A comparison with a missing value does not hold unless the trait says what a missing value counts as; `missing`
    tests the value itself. A date is compared by its age in days at the start of the sync; later dates have negative
    ages. For a list, `eq` holds if it contains the word, and `in` if it contains one of the words.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"oneOf": [{"required": [kind]} for kind in ("trait", "all", "any", "not")]},
    )

    trait: str | None = Field(default=None, description="Name of the trait to compare")
    gt: StrictFloat | None = Field(default=None, allow_inf_nan=False, description="Greater than; of a date: older")
    gte: StrictFloat | None = Field(default=None, allow_inf_nan=False, description="Greater than or equal to")
    lt: StrictFloat | None = Field(default=None, allow_inf_nan=False, description="Less than; of a date: younger")
    lte: StrictFloat | None = Field(default=None, allow_inf_nan=False, description="Less than or equal to")
    eq: Value | None = Field(default=None, description="Equal to; of a list: contains it")
    in_: tuple[Value, ...] | None = Field(
        default=None,
        alias="in",
        min_length=1,
        max_length=200,
        description="Equal to one of; of a list: contains one of",
    )
    missing: StrictBool | None = Field(
        default=None, description="true: the profile has no usable value; false: it has one"
    )
    all: tuple[Condition, ...] | None = Field(default=None, min_length=1, description="All of these hold")
    any: tuple[Condition, ...] | None = Field(default=None, min_length=1, description="At least one of these holds")
    not_: Condition | None = Field(default=None, alias="not", description="This does not hold")

    @property
    def comparisons(self) -> dict[str, Any]:
        """The comparisons by field."""
        return {field: value for field in COMPARISONS if (value := getattr(self, field)) is not None}

    @property
    def parts(self) -> tuple[tuple[Path, Condition], ...]:
        """The conditions inside this one with their paths."""
        if self.not_ is not None:
            return ((("not",), self.not_),)
        kind = "all" if self.all is not None else "any"
        return tuple(((kind, i), part) for i, part in enumerate(self.all or self.any or ()))

    @property
    def traits(self) -> frozenset[str]:
        """The names of all traits that the condition compares."""
        own = frozenset() if self.trait is None else frozenset({self.trait})
        return own.union(*(part.traits for _, part in self.parts))

    def words(self, trait: str) -> frozenset[str]:
        """Returns the words that the condition compares a trait with."""
        own = (self.eq, *(self.in_ or ())) if self.trait == trait else ()
        found = frozenset(value for value in own if isinstance(value, str))
        return found.union(*(part.words(trait) for _, part in self.parts))

    def faults(self, traits: Mapping[str, Trait], path: Path) -> Iterator[Fault]:
        """Yields what does not fit the traits of the rules.

        Args:
            traits: The traits of the rules by name.
            path: Path of this condition in the rules.
        """
        found = list(self._misfits(traits, path, 1))
        yield from found or self._contradictions(traits, path)

    def _misfits(self, traits: Mapping[str, Trait], path: Path, depth: int) -> Iterator[Fault]:
        if depth > MAX_DEPTH:
            yield Fault(path, f"conditions are nested more than {MAX_DEPTH} deep: make it simpler")
            return
        for inner, part in self.parts:
            yield from part._misfits(traits, path + inner, depth + 1)
        if self.trait is None:
            return
        trait = traits.get(self.trait)
        if trait is None:
            yield Fault((*path, "trait"), unknown_name("trait", self.trait, traits))
            return
        for field, value in self.comparisons.items():
            if field not in ALLOWED[trait.type]:
                allowed = ", ".join(map(name_in_file, ALLOWED[trait.type]))
                yield Fault(
                    (*path, name_in_file(field)),
                    f"{trait.name} is a {trait.type}, which has no {name_in_file(field)}: use {allowed}",
                )
            elif field != "missing":
                for one in value if field == "in_" else (value,):
                    if reason := trait.impossible_value_reason(one):
                        yield Fault((*path, name_in_file(field)), reason)

    def _contradictions(self, traits: Mapping[str, Trait], path: Path) -> Iterator[Fault]:
        """Yields comparisons of a trait that exclude each other, in one condition or in several that must all hold."""
        together: dict[str, list[Condition]] = {}
        for place, part in self._required(path):
            if part.trait is None:
                for inner, one in part.parts:
                    yield from one._contradictions(traits, place + inner)
                continue
            before = together.setdefault(part.trait, [])
            if are_contradictory(traits[part.trait], [one._by_name_in_file for one in (*before, part)]):
                compared = [
                    f"{name} {toml_text(value)}"
                    for one in (*before, part)
                    for name, value in one._by_name_in_file.items()
                ]
                both = " and ".join(compared)
                yield Fault(place, f"this condition can never hold: {part.trait} cannot be {both}. Change it")
            else:
                before.append(part)

    def _required(self, path: Path) -> Iterator[tuple[Path, Condition]]:
        """Yields all conditions that hold if this one does, with their paths."""
        if self.all is None:
            yield path, self
        for inner, part in self.parts if self.all is not None else ():
            yield from part._required(path + inner)

    @property
    def _by_name_in_file(self) -> dict[str, Any]:
        return {name_in_file(field): value for field, value in self.comparisons.items()}

    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        kinds = [name_in_file(kind) for kind in ("trait", "all", "any", "not_") if getattr(self, kind) is not None]
        compared = ", ".join(map(name_in_file, self.comparisons))
        if len(kinds) > 1:
            raise_faults(
                "Condition", [Fault((kinds[1],), f"{' and '.join(kinds)} together: use one of them in a condition")]
            )
        if not kinds:
            sentence = f'which trait is compared? Add trait = "…" to {compared}' if compared else _EMPTY
            raise_faults("Condition", [Fault((), sentence)])
        if kinds == ["trait"] and not compared:
            listed = ", ".join(map(name_in_file, COMPARISONS))
            raise_faults("Condition", [Fault(("trait",), f"what should {self.trait} be? Add one of {listed}")])
        if kinds != ["trait"] and compared:
            raise_faults("Condition", [Fault((), f"{compared} beside {kinds[0]}: comparisons go with a trait")])
        return self


def are_contradictory(trait: Trait, comparisons: Iterable[Mapping[str, Any]]) -> bool:
    """Returns whether no value can meet all comparisons.

    Args:
        trait: The compared trait; each comparison by itself is possible for it.
        comparisons: Comparisons by their names in a file, such as `{"gt": 100.0}`.
    """
    asked = [one for some in comparisons for one in some.items()]
    missing = {value for word, value in asked if word == "missing"}
    if len(missing) == 2:
        return True
    wanted = [one for one in asked if one[0] != "missing"]
    if True in missing:
        return bool(wanted) and (trait.missing is None or not _meets(trait.missing, wanted))
    if trait.type == "list":
        return False  # a list may hold any number of words
    named = [[value] if word == "eq" else list(value) for word, value in wanted if word in ("eq", "in")]
    if named:
        return not any(_meets(value, wanted) for value in named[0])
    return _leave_no_room(trait, wanted)


def _meets(value: Value, wanted: list[tuple[str, Any]]) -> bool:
    return all(_HOLDS[word](value, other) for word, other in wanted)


def _leave_no_room(trait: Trait, wanted: list[tuple[str, Any]]) -> bool:
    """Returns whether the bounds, including those of the trait's scale, leave no number between them."""
    least, most = (trait.lowest, trait.highest) if trait.type == "number" else (-inf, inf)
    low = max([least, *(bound for word, bound in wanted if word in ("gt", "gte"))])
    high = min([most, *(bound for word, bound in wanted if word in ("lt", "lte"))])
    return low > high or (low == high and not _meets(low, wanted))
