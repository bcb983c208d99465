"""Makes an `Aggregate` from the result rows of DuckDB: adds up sums, parses words, and folds odd entries."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait_reader import TraitReader, make_trait_reader
from worker.clusters.sql.counted_values import CountedValues, make_aggregate, make_moments
from worker.clusters.sql.duckdb.statement import is_plain
from worker.clusters.sql.result_columns import NOT_AN_ENTRY, SEVERAL_KEYS, WRONG_TRAITS, Row
from worker.clusters.sql.source_shape import Encoding
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.category import MAX_VALUES, CategoryAggregate
from worker.clusters.statistics.fold import fold
from worker.clusters.statistics.value_shape import value_shape

_BATCH = 2048
"""Words, and odd entries, that are read at a time."""

_LONGEST_INT = 400


class RowReader:
    """Reads result rows.

    Args:
        rules: The rules of the statement.
        encodings: Encoding of each key that the source has.
        as_of: When the sync began, in Unix seconds.
    """

    def __init__(self, rules: Rules, encodings: Mapping[str, Encoding], as_of: float) -> None:
        self._rules = rules
        self._as_of = as_of
        self._readers = [make_trait_reader(trait, as_of, rules.vocabulary(trait.name)) for trait in rules.traits]
        self._plain = [is_plain(trait, encodings) for trait in rules.traits]

    def read(self, rows: Iterable[Row]) -> Aggregate:
        """Returns the aggregate of all rows."""
        result = Aggregate()
        sizes: Counter[int] = Counter()
        values: defaultdict[tuple[int, int], CountedValues] = defaultdict(CountedValues)
        rare: Counter[tuple[int, int]] = Counter()
        words: defaultdict[int, list[tuple[int, str, int]]] = defaultdict(list)
        for state, trait, bucket, text, n, whole, fine, rest, squares in rows:
            if trait is None:
                if state is None:
                    self._fold(result, text, n)
                else:
                    sizes[state] = n
            elif bucket is not None:
                values[state, trait].buckets[int(bucket)] += n
            elif text is None and whole is None:
                if state:
                    rare[state, trait] += n
            elif text is None:
                values[state, trait].moments = make_moments(n, whole, fine, rest, squares)
            else:
                words[trait].append((state or 0, text, n))
                if len(words[trait]) >= _BATCH:
                    self._read_words(result, trait, words.pop(trait))
        for trait, some in words.items():
            self._read_words(result, trait, some)
        for (state, trait), n in rare.items():
            # Each of these words is rarer than those that are dropped.
            counts = result.cluster(self._rules.cluster_keys[state - 1]).category(self._rules.traits[trait].name)
            counts.count += n
            counts.drop_rarest()
        result.merge(make_aggregate(self._rules, sizes, values))
        return result

    def _read_words(self, result: Aggregate, trait: int, words: list[tuple[int, str, int]]) -> None:
        """Counts texts of a trait, each with its state and its number of profiles."""
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
        """Returns a profile that has the values of a trait's keys that a text contains."""
        keys, kind = self._rules.traits[trait].keys, self._rules.traits[trait].type
        if kind in ("category", "list"):
            if self._plain[trait]:
                return {keys[0]: text}
            if text.startswith(SEVERAL_KEYS):
                return dict(zip(keys, _parse(text.removeprefix(SEVERAL_KEYS)), strict=True))
        return {keys[0]: _parse(text)}

    def _fold(self, result: Aggregate, text: str, n: int) -> None:
        """Folds `n` equal entries that SQL did not read."""
        entry: object = None
        if text == WRONG_TRAITS:
            entry = {"traits": 0}
        elif text != NOT_AN_ENTRY:
            entry = {"traits": dict(zip(self._rules.keys, _parse(text), strict=True))}
        while n:
            some = min(n, _BATCH)
            fold(result, [entry] * some, self._rules, as_of=self._as_of)
            n -= some


def _parse(text: str) -> Any:
    """Returns what JSON text contains, with NaN and with integers of any size, as the reader of files does."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INT else math.inf)
