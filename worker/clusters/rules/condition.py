"""Conditions on a profile: comparisons of one trait, joined by `all`, `any` and `not`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, model_validator

from worker.clusters.rules.contradiction import contradict
from worker.clusters.rules.trait import Trait, TraitType, Value, shown
from worker.clusters.rules.validation import Fault, Path, refuse, unknown

MAX_DEPTH = 10
"""How deep conditions may stand inside each other."""

ORDERED = ("gt", "gte", "lt", "lte")
COMPARISONS = (*ORDERED, "eq", "in_", "missing")

ALLOWED: Mapping[TraitType, tuple[str, ...]] = {
    "number": COMPARISONS,
    "category": ("eq", "in_", "missing"),
    "boolean": ("eq", "missing"),
    "date": (*ORDERED, "missing"),
    "list": ("eq", "in_", "missing"),
}
"""What makes sense for which type of trait."""


_EMPTY = 'the condition is empty: write which trait should be what, such as trait = "…", gt = 100, or leave it out'


def word(field: str) -> str:
    """A field as it is written in a file: `in` for `in_`."""
    return field.rstrip("_")


class Condition(BaseModel):
    """Either comparisons of one `trait`, all of which must hold, or one of `all`, `any` and `not`.

    A comparison with a missing value does not hold, unless the trait says what a missing value counts as; `missing`
    asks for the value itself. A date is compared by its age in days at the start of the sync, which is negative for
    one that lies ahead. A list is equal to what it holds, and `in` a list of words of which it holds one.
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
    eq: Value | None = Field(default=None, description="Equal to; of a list: holds it")
    in_: tuple[Value, ...] | None = Field(
        default=None, alias="in", min_length=1, max_length=200, description="Equal to one of; of a list: holds one of"
    )
    missing: StrictBool | None = Field(default=None, description="true: the profile has no usable value; false: it has")
    all: tuple[Condition, ...] | None = Field(default=None, min_length=1, description="All of these hold")
    any: tuple[Condition, ...] | None = Field(default=None, min_length=1, description="At least one of these holds")
    not_: Condition | None = Field(default=None, alias="not", description="This does not hold")

    @property
    def comparisons(self) -> dict[str, Any]:
        """The comparisons that are made, by field."""
        return {field: value for field in COMPARISONS if (value := getattr(self, field)) is not None}

    @property
    def parts(self) -> tuple[tuple[Path, Condition], ...]:
        """The conditions inside this one, and where they stand."""
        if self.not_ is not None:
            return ((("not",), self.not_),)
        kind = "all" if self.all is not None else "any"
        return tuple(((kind, i), part) for i, part in enumerate(self.all or self.any or ()))

    @property
    def traits(self) -> frozenset[str]:
        """The names of all traits that it compares."""
        own = frozenset() if self.trait is None else frozenset({self.trait})
        return own.union(*(part.traits for _, part in self.parts))

    def words(self, trait: str) -> frozenset[str]:
        """The words that it compares a trait with."""
        own = (self.eq, *(self.in_ or ())) if self.trait == trait else ()
        found = frozenset(value for value in own if isinstance(value, str))
        return found.union(*(part.words(trait) for _, part in self.parts))

    def faults(self, traits: Mapping[str, Trait], path: Path, depth: int = 1) -> Iterator[Fault]:
        """What does not fit the traits of the rules. path: where this condition stands."""
        found = list(self._misfits(traits, path, depth))
        yield from found or self._contradictions(traits, path)

    def _misfits(self, traits: Mapping[str, Trait], path: Path, depth: int) -> Iterator[Fault]:
        if depth > MAX_DEPTH:
            yield Fault(path, f"conditions stand in each other more than {MAX_DEPTH} deep: make it simpler")
            return
        for inner, part in self.parts:
            yield from part._misfits(traits, path + inner, depth + 1)
        if self.trait is None:
            return
        trait = traits.get(self.trait)
        if trait is None:
            yield Fault((*path, "trait"), unknown("trait", self.trait, traits))
            return
        for field, value in self.comparisons.items():
            if field not in ALLOWED[trait.type]:
                allowed = ", ".join(map(word, ALLOWED[trait.type]))
                yield Fault(
                    (*path, word(field)), f"{trait.name} is a {trait.type}, which has no {word(field)}: use {allowed}"
                )
            elif field != "missing":
                for one in value if field == "in_" else (value,):
                    if objection := trait.objection(one):
                        yield Fault((*path, word(field)), objection)

    def _contradictions(self, traits: Mapping[str, Trait], path: Path) -> Iterator[Fault]:
        """Comparisons of a trait that exclude each other, in one condition or in several that must all hold."""
        together: dict[str, list[Condition]] = {}
        for place, part in self._required(path):
            if part.trait is None:
                for inner, one in part.parts:
                    yield from one._contradictions(traits, place + inner)
                continue
            before = together.setdefault(part.trait, [])
            if contradict(traits[part.trait], [one._by_word for one in (*before, part)]):
                compared = [f"{name} {shown(value)}" for one in (*before, part) for name, value in one._by_word.items()]
                said = " and ".join(compared) + (" at once" if len(compared) > 1 else "")
                yield Fault(place, f"nobody can be here: {part.trait} is never {said}. Change it")
            else:
                before.append(part)

    def _required(self, path: Path) -> Iterator[tuple[Path, Condition]]:
        """All conditions that hold if this one does, and where they stand."""
        if self.all is None:
            yield path, self
        for inner, part in self.parts if self.all is not None else ():
            yield from part._required(path + inner)

    @property
    def _by_word(self) -> dict[str, Any]:
        return {word(field): value for field, value in self.comparisons.items()}

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        kinds = [word(kind) for kind in ("trait", "all", "any", "not_") if getattr(self, kind) is not None]
        compared = ", ".join(map(word, self.comparisons))
        if len(kinds) > 1:
            refuse("Condition", [Fault((kinds[1],), f"{' and '.join(kinds)} together: use one of them in a condition")])
        if not kinds:
            said = f'which trait is compared? Add trait = "…" to {compared}' if compared else _EMPTY
            refuse("Condition", [Fault((), said)])
        if kinds == ["trait"] and not compared:
            listed = ", ".join(map(word, COMPARISONS))
            refuse("Condition", [Fault(("trait",), f"what should {self.trait} be? Add one of {listed}")])
        if kinds != ["trait"] and compared:
            refuse("Condition", [Fault((), f"{compared} beside {kinds[0]}: comparisons go with a trait")])
        return self
