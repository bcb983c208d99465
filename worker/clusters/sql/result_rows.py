"""From the result rows of a statement to an `Aggregate`: sums are put together, words are read, odd entries folded."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait_reader import TraitReader, make_trait_reader
from worker.clusters.sql.cells import BUCKETS, NO_BUCKET, SCALE, Cells
from worker.clusters.sql.source_shape import Encoding
from worker.clusters.sql.statement import is_plain
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.category import MAX_VALUES, CategoryAggregate
from worker.clusters.statistics.fold import fold
from worker.clusters.statistics.numeric import Moments, NumberAggregate, exact_sum
from worker.clusters.statistics.quantile_sketch import QuantileSketch
from worker.clusters.statistics.value_shape import value_shape

Row = Sequence[Any]
"""Cell (see `Cells`), words, number of profiles, sum of the integer parts, sum of the rests, sum of squared deviations
from the mean of the row."""

_BATCH = 2048
"""Words, and odd entries, that are read at a time."""

_NEGATIVE_ZERO = 0x8000
_LONGEST_INT = 400


@dataclass
class _Sums:
    """The sums of a number trait in a cluster, by bucket."""

    buckets: Counter[int] = field(default_factory=Counter)
    rows: list[tuple[int, int, float, float]] = field(default_factory=list)

    def moments(self) -> Moments:
        count = sum(n for n, *_ in self.rows)
        whole = sum(whole for _, whole, _, _ in self.rows)
        high = float(whole)
        parts = exact_sum([high / SCALE, float(whole - int(high)) / SCALE, *(rest for _, _, rest, _ in self.rows)])
        mean = math.fsum(parts) / count
        squares = math.fsum(
            squares + n * ((whole / SCALE + rest) / n - mean) ** 2 for n, whole, rest, squares in self.rows
        )
        return Moments(count, tuple(parts), squares)


class RowReader:
    """Reads result rows.

    Args:
        rules: The rules of the statement.
        cells: How its rows say what they count.
        encodings: Encoding of each key that rules read.
        as_of: When the sync began, in Unix seconds.
    """

    def __init__(self, rules: Rules, cells: Cells, encodings: dict[str, Encoding], as_of: float) -> None:
        self._rules = rules
        self._cells = cells
        self._plain = [trait.type in ("category", "list") and is_plain(trait, encodings) for trait in rules.traits]
        self._as_of = as_of
        self._readers = [make_trait_reader(trait, as_of, rules.vocabulary(trait.name)) for trait in rules.traits]

    def read(self, rows: Iterable[Row]) -> Aggregate:
        """Return the aggregate of all rows."""
        cells, traits = self._cells, self._rules.traits
        result = Aggregate()
        sizes: Counter[int] = Counter()
        sums: defaultdict[tuple[int, int], _Sums] = defaultdict(_Sums)
        words: defaultdict[int, list[tuple[int, str, int]]] = defaultdict(list)
        odd: list[tuple[str, int]] = []
        for cell, text, n, whole, rest, squares in rows:
            place, bucket = divmod(cell, BUCKETS)
            state, trait = divmod(place, cells.traits)
            if trait == 0:
                sizes[state] += n
            if state > cells.clusters:
                if state == cells.odd:
                    odd.append((text, n))
                    if len(odd) >= _BATCH:
                        self._fold(result, odd)
                        odd = []
                continue
            kind = traits[trait].type
            if text is not None:
                words[trait].append((state, text, n))
                if len(words[trait]) >= _BATCH:
                    self._read_words(result, trait, words.pop(trait))
            if state and kind not in ("category", "list") and bucket != NO_BUCKET:
                found = sums[state, trait]
                found.buckets[bucket] += n
                if kind != "boolean":
                    found.rows.append((n, int(whole), rest, squares))
        for trait, some in words.items():
            self._read_words(result, trait, some)
        self._fold(result, odd)
        counted = self._counted(sizes, sums)
        result.merge(counted)
        return result

    def _counted(self, sizes: Counter[int], sums: dict[tuple[int, int], _Sums]) -> Aggregate:
        """Return what was counted in SQL."""
        cells, rules = self._cells, self._rules
        filtered, unclassified = sizes[cells.filtered], sizes[0]
        made = Aggregate(
            filtered=filtered,
            unclassified=unclassified,
            merged=sizes[cells.merged],
            left_out=sizes[cells.left_out],
        )
        made.profiles = filtered + unclassified + sum(sizes[i + 1] for i in range(cells.clusters))
        for i, key in enumerate(rules.cluster_keys):
            if sizes[i + 1]:
                cluster = made.clusters[key] = ClusterAggregate(n=sizes[i + 1])
                for j, trait in enumerate(rules.traits):
                    found = sums.get((i + 1, j))
                    if trait.type in ("category", "list"):
                        cluster.category(trait.name)
                    elif trait.type == "boolean":
                        boolean = cluster.boolean(trait.name)
                        if found:
                            boolean.count, boolean.true = found.buckets.total(), found.buckets[1]
                    elif found:
                        found.buckets[0] += found.buckets.pop(_NEGATIVE_ZERO, 0)
                        cluster.numbers[trait.name] = NumberAggregate(
                            found.moments(), QuantileSketch(buckets=+found.buckets)
                        )
                    else:
                        cluster.number(trait.name)
        return made

    def _read_words(self, result: Aggregate, trait: int, words: list[tuple[int, str, int]]) -> None:
        """Count texts of a trait, each with its state and its number of profiles."""
        reader, kind = self._readers[trait], self._rules.traits[trait].type
        profiles = [self._traits(trait, text) for _, text, _ in words]
        if kind not in ("category", "list"):
            # These are wrong. The text is that of the value, whatever its key.
            for (_, _, n), profile in zip(words, profiles, strict=True):
                self._add_error(result, reader, profile, n)
            return
        column = reader.read(profiles)
        for row in column.wrong:
            self._add_error(result, reader, profiles[row], words[row][2])
        for (state, _, n), value in zip(words, column.values, strict=True):
            if state and value is not None:
                counts = result.cluster(self._rules.cluster_keys[state - 1]).category(reader.name)
                counts.count += n
                for word in value if kind == "list" else (value,):
                    counts.counts[word] += n
                if len(counts.counts) > 2 * MAX_VALUES:
                    counts.drop_rarest()

    def _add_error(self, result: Aggregate, reader: TraitReader, traits: dict[str, object], n: int) -> None:
        shapes = result.error_shapes.setdefault(reader.name, CategoryAggregate())
        result.trait_errors[reader.name] += n
        shapes.count += n
        shapes.counts[value_shape(reader.unusable(traits))] += n
        if len(shapes.counts) > 2 * MAX_VALUES:
            shapes.drop_rarest()

    def _traits(self, trait: int, text: str) -> dict[str, object]:
        """Return a profile that has the values of a trait's keys that a text contains."""
        keys = self._rules.traits[trait].keys
        if self._plain[trait]:
            return {keys[0]: text}
        if text.startswith("K"):
            return dict(zip(keys, _parse(text[1:]), strict=True))
        return {keys[0]: _parse(text)}

    def _fold(self, result: Aggregate, odd: Iterable[tuple[str, int]]) -> None:
        """Fold entries that SQL did not read."""
        for text, n in odd:
            entry: object = None
            if text == "T":
                entry = {"traits": 0}
            elif text != "E":
                entry = {"traits": dict(zip(self._rules.keys, _parse(text), strict=True))}
            while n:
                some = min(n, _BATCH)
                fold(result, [entry] * some, self._rules, as_of=self._as_of)
                n -= some


def _parse(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INT else math.inf)
