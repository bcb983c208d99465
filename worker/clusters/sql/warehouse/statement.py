"""The statement of a warehouse: from the rows of a table to counts.

source        one row for a profile: its identifier and the text or value of each key; a tall table is turned for it
step1 …       for each trait and key what is computed of its value, see `key_values`
traits        for each trait its value, and the text of what is wrong
profiles      the state of each profile: its cluster, or why it is in none
values…       sums of the values of a number in each bucket
words…        the words of a category or list. If neither conditions nor the filter compare them, only distinct texts
              are read, and not those of each profile
(result)      counts and sums, see `counts`
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.sql.conditions import cluster_states, compile_condition
from worker.clusters.sql.result_columns import States
from worker.clusters.sql.row_selection import group_traits, is_merged, is_outside_sample, value_of_key
from worker.clusters.sql.source_shape import Encoding, SourceShape, encoding_of
from worker.clusters.sql.templates import case, column, integer, sql
from worker.clusters.sql.warehouse.counts import ProfileCounts, union
from worker.clusters.sql.warehouse.functions import FUNCTIONS, Functions, WarehouseDialect, own_column
from worker.clusters.sql.warehouse.key_values import KeyReader, KeyValue

_STEPS = 4
_PLAIN_TEXTS = ("TEXT", "VARCHAR", "CHARACTER VARYING", "STRING")


class WarehouseBuilder:
    """Builds the statement for rules and a shape.

    Args:
        rules: The rules.
        shape: The shape of the source, `wide` or `tall`.
        dialect: The engine.
        as_of: When the sync began, in Unix seconds.
        sample: Share of all profiles, above 0 and below 1; None for all.
    """

    def __init__(
        self, rules: Rules, shape: SourceShape, dialect: WarehouseDialect, as_of: float, sample: float | None
    ) -> None:
        if shape.kind == "object" or shape.within is not None:
            raise ValueError("a warehouse is read as a wide or a tall table")
        self._rules, self._shape, self._as_of, self._sample = rules, shape, as_of, sample
        self._functions: Functions = FUNCTIONS[dialect]
        self._states = States(len(rules.clusters))
        self._counts = ProfileCounts(self._functions, self._states)
        self._columns = {key: f"k{i}" for i, key in enumerate(rules.keys)}
        self._types = self._key_types()

    def build(self, relation: exp.Expr) -> exp.Query:
        """Returns the statement over a relation."""
        levels: list[tuple[str, list[exp.Expr]]] = []
        values = {i: self._key_values(i, trait) for i, trait in enumerate(self._rules.traits) if self._is_needed(trait)}
        for step in range(_STEPS):
            found: list[exp.Expr] = [
                _named(one.steps[step], f"p{i}_{j}_{step}")
                for i, some in values.items()
                for j, one in enumerate(some)
                if step < len(one.steps)
            ]
            if found:
                levels.append((f"step{step + 1}", found))
        levels.append(("traits", [one for i, some in values.items() for one in self._trait(i, some)]))
        levels.append(("profiles", [*self._profile(), *self._counted_columns()]))
        tables: dict[str, exp.Expr] = {"source": self._source(relation)}
        before = "source"
        for name, columns in levels:
            tables[name] = self._functions.computed_once(
                exp.select(*([] if name == "profiles" else [exp.Star()]), *columns, copy=False).from_(
                    exp.to_table(before), copy=False
                )
            )
            before = name
        branches = [self._counts.states_branch()]
        present = [(i, trait) for i, trait in enumerate(self._rules.traits) if self._present(trait)]
        for i, trait in present:
            if trait.type == "boolean":
                branches.append(self._counts.boolean(i))
            elif trait.type in ("number", "date"):
                tables[f"values{i}"], made = self._counts.number(i, trait)
                branches += made
            else:
                tables |= {f"words{i}": self._counts.words(i)} if self._is_needed(trait) else self._distinct(i, trait)
                branches += self._counts.words_branches(i, trait)
        if present:
            made_tables, errors = self._counts.errors(present)
            tables |= made_tables
            branches.append(errors)
        query = union(branches)
        for name, table in tables.items():
            once = self._functions.is_materialized and name.startswith(("profiles", "values", "words", "wrong"))
            query = query.with_(name, as_=table, materialized=once or None, copy=False)
        return _with_doubles(query)

    def _key_types(self) -> dict[str, tuple[Encoding, str]]:
        """Returns the encoding and the type of each key that the source has."""
        if self._shape.kind == "tall":
            return dict.fromkeys(self._columns, ("text", "text"))
        found = {key: name for key in self._columns if (name := self._shape.match(key)) is not None}
        return {key: (encoding_of(self._shape.columns[name]), self._shape.columns[name]) for key, name in found.items()}

    def _source(self, relation: exp.Expr) -> exp.Expr:
        shape = self._shape
        chosen: list[exp.Expr]
        if shape.kind == "tall":
            chosen = [_named(value_of_key(shape, key), name) for key, name in self._columns.items()]
            chosen.append(_selected(shape.id or "", "id"))
            return group_traits(exp.select(*chosen, copy=False).from_(relation.copy(), copy=False), shape)
        chosen = []
        for key, (encoding, sql_type) in self._types.items():
            value = column(shape.match(key) or "")
            if encoding == "text" and not sql_type.upper().startswith(_PLAIN_TEXTS):
                # Types of text that are compared in other ways, such as CHAR and CITEXT.
                value = sql("CAST(:value AS VARCHAR)", value=value)
            chosen.append(_named(value, self._columns[key]))
        for name, wanted in (("id", shape.id), ("merged_to", shape.merged_to)):
            if wanted is not None:
                chosen.append(_selected(wanted, name))
        return exp.select(*(chosen or [_named(exp.Null(), "k")]), copy=False).from_(relation.copy(), copy=False)

    def _is_needed(self, trait: Trait) -> bool:
        """Returns whether the value of each row is needed."""
        compiled = self._rules.compiled
        return trait.type not in ("category", "list") or trait.name in (*compiled.deciding, *compiled.filtering)

    def _present(self, trait: Trait) -> list[str]:
        """Returns the keys of a trait that the source has."""
        return [key for key in trait.keys if key in self._types]

    def _key_values(self, i: int, trait: Trait) -> list[KeyValue]:
        reader = KeyReader(self._functions, trait, self._rules.vocabulary(trait.name), self._as_of)
        return [
            reader.read(
                own_column(self._columns[key]), *self._types[key], [f"p{i}_{j}_{step}" for step in range(_STEPS)]
            )
            for j, key in enumerate(self._present(trait))
        ]

    def _trait(self, i: int, found: Sequence[KeyValue]) -> list[exp.Expr]:
        """Returns the value of a trait, and of its first wrong value the text."""
        if not found:
            kind = {"category": "VARCHAR", "list": self._functions.list_type}.get(self._rules.traits[i].type, "DOUBLE")
            return [_named(exp.cast(exp.Null(), kind), f"v{i}"), _named(exp.cast(exp.Null(), "VARCHAR"), f"w{i}")]
        values = [one.value for one in found]
        value = values[0] if len(values) == 1 else exp.func("COALESCE", *(one.copy() for one in values))
        wrong = []
        is_list = self._rules.traits[i].type == "list"
        for j, one in enumerate(found):
            # Only a list may have both words and an error.
            is_first = [sql(":value IS NULL", value=before) for before in values[: j if is_list else j + 1]]
            wrong.append((exp.and_(*is_first, exp.Paren(this=one.is_wrong), copy=False), one.wrong))
        return [_named(value, f"v{i}"), _named(case(wrong), f"w{i}")]

    def _profile(self) -> list[exp.Expr]:
        """Returns the state of each profile, and the buckets of its numbers."""
        rules, states = self._rules, self._states
        values = {trait.name: (trait, own_column(f"v{i}")) for i, trait in enumerate(rules.traits)}
        branches: list[tuple[exp.Expr, exp.Expr]] = []
        if self._shape.kind != "tall" and (merged := is_merged(self._shape)) is not None:
            branches.append((merged, integer(states.merged)))
        if self._sample is not None:
            branches.append((is_outside_sample(self._shape, self._sample), integer(states.left_out)))
        if rules.filter is not None:
            kept = compile_condition(rules.filter, values)
            branches.append((exp.Not(this=exp.Paren(this=kept)), integer(states.filtered)))
        unclassified = [sql(":value IS NULL", value=values[name][1]) for name in rules.compiled.deciding]
        branches.append((exp.and_(*unclassified, copy=False), integer(0)))
        clusters, rest = cluster_states(rules, values)
        branches += clusters
        columns: list[exp.Expr] = [_named(case(branches, rest), "state")]
        for i, trait in enumerate(rules.traits):
            if trait.type in ("number", "date") and self._present(trait):
                columns.append(_named(self._functions.bucket_of(own_column(f"v{i}")), f"b{i}"))
        return columns

    def _counted_columns(self) -> list[exp.Expr]:
        """Returns the columns that are counted: of each profile, no others are kept."""
        names: dict[str, None] = {}
        for i, trait in enumerate(self._rules.traits):
            if self._is_needed(trait):
                names |= dict.fromkeys((f"v{i}", f"w{i}"))
            else:
                names |= dict.fromkeys(self._columns[key] for key in self._present(trait))
        return [own_column(name) for name in names]

    def _distinct(self, i: int, trait: Trait) -> dict[str, exp.Expr]:
        """Returns the tables that read each distinct text of a category or list once for a state."""
        keys = [own_column(self._columns[key]) for key in self._present(trait)]
        found = self._key_values(i, trait)
        steps = [_named(step, f"p{i}_{j}_0") for j, one in enumerate(found) for step in one.steps]
        texts = (
            exp.select(own_column("state"), *keys, _named(exp.Count(this=exp.Star()), "n"), copy=False)
            .from_(exp.to_table("profiles"), copy=False)
            .where(sql("state <= :final", final=integer(self._states.clusters)), copy=False)
            .group_by(own_column("state"), *(key.copy() for key in keys), copy=False)
        )
        read = self._functions.computed_once(
            exp.select(exp.Star(), *steps, copy=False).from_(exp.to_table(f"texts{i}"), copy=False)
        )
        value, wrong = self._trait(i, found)
        words = exp.select(
            own_column("state"), _named(value.this, "value"), _named(wrong.this, "wrong"), own_column("n"), copy=False
        ).from_(exp.to_table(f"read{i}"), copy=False)
        return {f"texts{i}": texts, f"read{i}": read, f"words{i}": words}


def _named(expression: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=expression, alias=exp.to_identifier(name))


def _selected(name: str, alias: str) -> exp.Expr:
    """Returns a column of the source under the name by which `row_selection` knows it."""
    return exp.alias_(column(name), alias, quoted=True, copy=False)


def _with_doubles(query: exp.Query) -> exp.Query:
    """Casts literals with an exponent, which are doubles in DuckDB and decimals elsewhere."""
    for literal in list(query.find_all(exp.Literal)):
        if not literal.is_string and "e" in literal.name:
            literal.replace(exp.cast(exp.Literal.number(literal.name.removesuffix("e0")), "DOUBLE"))
    return query
