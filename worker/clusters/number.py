"""One number trait in one cluster: how many profiles have it, and their exact sum."""

from dataclasses import dataclass, field

from worker.clusters import decode
from worker.clusters.exact import exact_mean, exact_sum
from worker.clusters.values import MAGNITUDE


@dataclass(slots=True)
class NumberAggregate:
    """`count` profiles have the trait; `parts` is the sum of their values as in `exact_sum`."""

    count: int = 0
    parts: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float | None:
        """The mean over the profiles that have the trait; None if none has."""
        return exact_mean(self.parts, self.count)

    def add(self, values: list[float]) -> None:
        """Count one value for each of as many profiles; values are within plus or minus `MAGNITUDE`."""
        self.count += len(values)
        self.parts = exact_sum(self.parts + values)

    def merge(self, other: "NumberAggregate") -> None:
        """Add everything that `other` has counted."""
        self.count += other.count
        self.parts = exact_sum(self.parts + other.parts)

    def as_json(self) -> dict[str, object]:
        return {"count": self.count, "sum": self.parts}

    @classmethod
    def from_json(cls, value: object) -> "NumberAggregate":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
        raw_count, raw_parts = decode.fields(value, "count", "sum")
        count, parts = decode.count(raw_count), decode.floats(raw_parts)
        # The bound comes first: beyond it the sum could overflow.
        if any(abs(part) > MAGNITUDE * count for part in parts) or parts != exact_sum(parts):
            raise ValueError("not a sum of that many values")
        return cls(count, parts)
