"""A trait as rules describe it: its keys in a profile, how it is read, and what a missing value counts as."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, model_validator
from pydantic_core import PydanticCustomError

from worker.clusters.parsing.pii import is_personal
from worker.clusters.parsing.value_parsers import MAGNITUDE
from worker.clusters.parsing.words import NAMED_LENGTH, normal_form, visible_text
from worker.clusters.rules.validation import Fault, raise_faults

TraitType = Literal["number", "category", "boolean", "date", "list"]
Scale = Literal["plain", "currency", "probability", "percent", "percentile"]


def _plain(value: object) -> object:
    if isinstance(value, str):
        # Words of profiles are compared in their normal form. White space is checked by `impossible_value_reason`.
        text = visible_text(value)
        return value if text is None else text
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) <= MAGNITUDE:
        return float(value)
    raise PydanticCustomError("rules", "write text in quotes, a finite number, true or false")


Value = Annotated[bool | float | str, BeforeValidator(_plain)]
"""What a trait can be compared with."""

Word = Annotated[str, BeforeValidator(_plain)]

Key = Annotated[str, Field(pattern=r"^[^,]{1,200}$")]  # commas part the keys in Segment's `include=`
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Days = Annotated[StrictFloat, Field(gt=0, le=36_525, allow_inf_nan=False)]

RESERVED = frozenset({"traits"})
"""Names that statistics use for something else."""

_BOUNDS: dict[Scale, tuple[float, float]] = {
    "plain": (-MAGNITUDE, MAGNITUDE),
    "currency": (-MAGNITUDE, MAGNITUDE),
    "probability": (0.0, 1.0),
    "percent": (0.0, 100.0),
    "percentile": (0.0, 1.0),
}
_NO_RANK = ("risk", "probability", "chance", "likelihood", "propensity")


class Trait(BaseModel):
    """A trait that is read from every profile.

    Numbers outside `lowest` to `highest` are trait errors. A percentile is from 0 to 1, as Segment writes it: 0.8 means
    above 80 % of all profiles. It is a rank and not a probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Name in conditions and results: small letters, digits and _")
    keys: tuple[Key, ...] = Field(
        default_factory=lambda data: (data.get("name", ""),),
        min_length=1,
        max_length=10,
        description="Names of the trait in a profile, in order of preference. Default: its name",
    )
    type: TraitType = Field(description="How its values are read")
    label: str = Field(
        default_factory=lambda data: str(data.get("name", "")).replace("_", " "),
        min_length=1,
        max_length=60,
        description="Text that people read. Default: its name with spaces",
    )
    scale: Scale = Field(
        default="plain",
        description="What a number means: plain, currency, probability (0 to 1), percent (0 to 100), "
        "percentile (0 to 1, a rank and not a risk)",
    )
    currency: str | None = Field(
        default=None, pattern=r"^[A-Z]{3}$", description="Code of the currency (ISO 4217), such as USD"
    )
    missing: Value | None = Field(
        default=None, description="What a missing value counts as in conditions; for dates an age in days"
    )
    missing_is_zero: StrictBool = Field(default=False, description="Whether a missing number counts as 0 in means, too")
    values: Annotated[tuple[Word, ...], Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The only words that a category or a list may hold; others are trait errors. Default: any",
    )
    max_age_days: Days | None = Field(
        default=None, description="Days after which a date, or a value that says when it was set, counts as missing"
    )

    @property
    def lowest(self) -> float:
        """The lowest usable number."""
        return _BOUNDS[self.scale][0]

    @property
    def highest(self) -> float:
        """The highest usable number."""
        return _BOUNDS[self.scale][1]

    def impossible_value_reason(self, value: Value) -> str:
        """Returns why no value of this trait can equal `value`; empty if one can."""
        if self.type == "number":
            if not isinstance(value, float):
                return f"{self.name} is a number, and {toml_text(value)} is not"
            if not self.lowest <= value <= self.highest:
                return f"{toml_text(value)} is outside {self.lowest:g} to {self.highest:g}, which {self.name} is within"
        elif self.type == "date":
            if not isinstance(value, float):
                return f"{self.name} is a date, which is compared by its age: write a number of days"
        elif self.type == "boolean":
            if not isinstance(value, bool):
                return f"{self.name} is a boolean: write true or false"
        elif not isinstance(value, str):
            return f'{self.name} holds words: write "{toml_text(value)}" in quotes'
        elif normal_form(value) != value or not value or len(value) > NAMED_LENGTH or is_personal(value):
            return (
                f"{self.name} never holds {toml_text(value)}: words have single spaces, at most {NAMED_LENGTH} "
                "characters, and no ids"
            )
        elif self.values is not None and value not in self.values and value != self.missing:
            return f"{self.name} never holds {toml_text(value)}: add it to its values, {toml_text(self.values)}"
        return ""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        raise_faults("Trait", self._faults())
        return self

    def _faults(self) -> Iterator[Fault]:
        if self.name in RESERVED:
            yield Fault(("name",), f"{self.name} means something else in results: choose another name")
        if self.type != "number":
            if self.scale != "plain":
                yield Fault(("scale",), f"only a number has a scale, and {self.name} is a {self.type}: leave it out")
            if self.missing_is_zero:
                yield Fault(("missing_is_zero",), f"only a number can be 0, and {self.name} is a {self.type}")
        if self.type == "number" and self.scale == "currency" and self.currency is None:
            yield Fault(("currency",), 'say which currency, such as currency = "USD"')
        if self.scale != "currency" and self.currency is not None:
            yield Fault(("currency",), 'only an amount of money has a currency: add scale = "currency"')
        if self.scale == "percentile" and any(word in self.label.lower() for word in _NO_RANK):
            yield Fault(
                ("label",) if "label" in self.model_fields_set else ("scale",),
                f'a percentile is a rank, so "{self.label}" misleads: '
                f'set a label such as "{self.name.split("_")[0]} percentile"',
            )
        if self.values is not None:
            yield from self._faults_of_values(self.values)
        if self.missing is not None:
            if self.type == "list":
                yield Fault(("missing",), f"{self.name} is a list, and a missing list holds nothing: leave it out")
            elif reason := self.impossible_value_reason(self.missing):
                yield Fault(("missing",), reason)

    def _faults_of_values(self, values: tuple[str, ...]) -> Iterator[Fault]:
        if self.type not in ("category", "list"):
            yield Fault(("values",), f"only a category or a list has words, and {self.name} is a {self.type}")
            return
        for i, value in enumerate(values):
            if reason := self.impossible_value_reason(value):
                yield Fault(("values", i), reason)
            elif value in values[:i]:
                yield Fault(("values", i), f"{toml_text(value)} is there already: leave one out")


def toml_text(value: Value | tuple[Value, ...]) -> str:
    """Returns a value, or a list of values, as written in a TOML file."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"
