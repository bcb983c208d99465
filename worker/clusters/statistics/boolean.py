"""Statistics of one boolean trait in one cluster."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.clusters.statistics import serialization


@dataclass(slots=True)
class BooleanAggregate:
    """`count` profiles have the trait; for `true` of them it is true."""

    count: int = 0
    true: int = 0

    def add(self, values: Sequence[bool]) -> None:
        """Counts values, one for each profile."""
        self.count += len(values)
        self.true += sum(values)

    def merge(self, other: "BooleanAggregate") -> None:
        """Adds everything that `other` has counted."""
        self.count += other.count
        self.true += other.true

    def as_json(self) -> dict[str, object]:
        """Returns the aggregate as JSON data."""
        return {"count": self.count, "true": self.true}

    @classmethod
    def from_json(cls, value: object) -> "BooleanAggregate":
        """Reads what `as_json` returned. Raises ValueError if it cannot have returned this value."""
        count, true = map(serialization.count, serialization.fields(value, "count", "true"))
        if true > count:
            raise ValueError("more are true than there are")
        return cls(count, true)
