"""One boolean trait in one cluster: how many profiles have it, and in how many it is true."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.clusters.statistics import serialization


@dataclass(slots=True)
class BooleanAggregate:
    """`count` profiles have the trait; in `true` of them it is true."""

    count: int = 0
    true: int = 0

    def add(self, values: Sequence[bool]) -> None:
        """Count one value for each of as many profiles."""
        self.count += len(values)
        self.true += sum(values)

    def merge(self, other: "BooleanAggregate") -> None:
        """Add everything that `other` has counted."""
        self.count += other.count
        self.true += other.true

    def as_json(self) -> dict[str, object]:
        return {"count": self.count, "true": self.true}

    @classmethod
    def from_json(cls, value: object) -> "BooleanAggregate":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
        count, true = map(serialization.count, serialization.fields(value, "count", "true"))
        if true > count:
            raise ValueError("more are true than there are")
        return cls(count, true)
