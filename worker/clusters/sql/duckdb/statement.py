"""The statement of DuckDB: from the rows of a source to counts, in one scan.

source, keys      the values of all keys, as they are
parsed, usable    for each trait and key what SQL can read of it, see `key_columns`
traits            for each trait its value
errors            for each trait the text of words and of what is not usable, and whether it is odd
profiles          the state of each profile: its cluster, or why it is in none
(result)          counts and sums, see `counts`
"""

from collections.abc import Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase, digits

from sqlglot import exp

from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.sql.conditions import cluster_states, compile_condition
from worker.clusters.sql.duckdb.counts import count_profiles
from worker.clusters.sql.duckdb.key_columns import KeyReader, as_json_text, is_clean_word
from worker.clusters.sql.result_columns import NOT_AN_ENTRY, SEVERAL_KEYS, WRONG_TRAITS, States
from worker.clusters.sql.row_selection import group_traits, is_merged, is_outside_sample, value_of_key
from worker.clusters.sql.source_shape import Encoding, SourceShape, encoding_of, is_integer
from worker.clusters.sql.templates import case, column, integer, sql, text


class StatementBuilder:
    """Builds the statement for rules and a shape.

    Args:
        rules: The rules.
        shape: The shape of the source.
        as_of: When the sync began, in Unix seconds.
        sample: Share of all profiles, above 0 and below 1; None for all.
    """

    def __init__(self, rules: Rules, shape: SourceShape, as_of: float, sample: float | None) -> None:
        self._rules = rules
        self._shape = shape
        self._as_of = as_of
        self._sample = sample
        self._keys = {key: f"k{i}" for i, key in enumerate(rules.keys)}
        self.encodings: dict[str, Encoding] = {}
        self._states: dict[tuple[int, int], exp.Expr] = {}
        self._odd: set[tuple[int, int]] = set()
        self.states = States(len(rules.clusters))

    def build(self, relation: exp.Expr) -> exp.Query:
        """Returns the statement over a relation."""
        levels = [self._source(), *self._parsed(), self._traits(), self._errors(), self._profiles()]
        names = ("source", "keys", "parsed", "usable", "traits", "errors", "profiles")
        tables: dict[str, exp.Expr] = {}
        before: exp.Expr = relation.copy()
        for name, columns in zip(names, levels, strict=True):
            chosen = columns if name == "source" else [exp.Star(), *columns]
            query = exp.select(*chosen, copy=False).from_(before, copy=False)
            is_tall = name == "source" and self._shape.kind == "tall"
            tables[name] = group_traits(query, self._shape) if is_tall else query
            before = exp.to_table(name)
        present = [(i, trait) for i, trait in enumerate(self._rules.traits) if self._present(trait)]
        clean = {
            i: is_clean_word(column("words"), not is_plain(trait, self.encodings))
            for i, trait in present
            if trait.type == "category" and trait.values is None
        }
        whole = {i for i, trait in present if self._are_integers(trait)}
        has_odd = self._shape.kind == "object" or bool(self._odd)
        values, counted = count_profiles(present, self.states, clean, whole, has_odd=has_odd)
        for name, table in {**tables, **values}.items():
            counted = counted.with_(name, as_=table, materialized=name in ("profiles", *values) or None, copy=False)
        return counted

    def _source(self) -> list[exp.Expr]:
        shape = self._shape
        columns: list[exp.Expr] = []
        if shape.kind == "object":
            document = column(shape.column)
            if not shape.is_entry:
                columns.append(_named(document, "original"))
                document = sql("TRY_CAST(:document AS JSON)", document=document)
            folder = "/traits" if shape.is_entry else ""
            paths = exp.Array(
                expressions=[
                    *(text(f"{folder}/{_pointer(key)}") for key in self._keys),
                    *([text("/merged_to")] if shape.is_entry else []),
                ]
            )
            columns.append(_named(sql("JSON_EXTRACT(:document, :paths)", document=document, paths=paths), "found"))
            columns.append(_named(document, "document"))
        for key, name in self._keys.items():
            value, encoding = self._value(key)
            if encoding is not None:
                self.encodings[key] = encoding
            if shape.kind != "object" and encoding is not None:
                columns.append(_named(value, name))
        for name, wanted in (("id", shape.id), ("merged_to", shape.merged_to)):
            if wanted is not None:
                columns.append(_named(column(wanted), name))
        return columns

    def _value(self, key: str) -> tuple[exp.Expr, Encoding | None]:
        """Returns the value of a key and its encoding; None if the source does not have the key."""
        shape = self._shape
        if shape.kind == "object":
            return exp.Null(), "json"
        if shape.kind == "tall":
            return value_of_key(shape, key), "text"
        found = shape.match(key)
        if found is None:
            return exp.Null(), None
        value = (
            column(found)
            if shape.within is None
            else exp.Dot(this=column(shape.within), expression=exp.to_identifier(found, quoted=True))
        )
        return value, encoding_of(shape.columns[found])

    def _parsed(self) -> list[list[exp.Expr]]:
        """Returns the levels of columns of each trait and key."""
        levels: list[list[exp.Expr]] = [[], [], []]
        if self._shape.kind == "object":
            # NULL instead of JSON's null saves most of the work on it.
            found = [
                sql("NULLIF(CAST(LIST_EXTRACT(found, :place) AS VARCHAR), 'null')", place=integer(i + 1))
                for i in range(len(self._keys))
            ]
            levels[0] = [_named(value, name) for name, value in zip(self._keys.values(), found, strict=True)]
            if self._shape.is_entry:
                merged_to = exp.func("LIST_EXTRACT", column("found"), integer(len(self._keys) + 1))
                levels[0].append(_named(merged_to, "merged_to"))
        for i, trait in enumerate(self._rules.traits):
            if not self._needs_values(trait):
                continue
            reader = KeyReader(trait, self._rules.vocabulary(trait.name), self._as_of)
            for j, key in enumerate(self._present(trait)):
                made = reader.columns(self._keys[key], self.encodings[key], f"p{i}_{j}", f"v{i}_{j}")
                if made.parsed is not None:
                    levels[1].append(_named(made.parsed, f"p{i}_{j}"))
                levels[2].append(_named(made.value, f"v{i}_{j}"))
                self._states[i, j] = made.state
                if made.may_be_odd:
                    self._odd.add((i, j))
        return levels

    def _needs_values(self, trait: Trait) -> bool:
        """Returns whether each row needs the value. Words that no condition compares are read after counting."""
        compiled = self._rules.compiled
        return trait.type not in ("category", "list") or trait.name in (*compiled.deciding, *compiled.filtering)

    def _present(self, trait: Trait) -> list[str]:
        """Returns the keys of a trait that the source has."""
        return [key for key in trait.keys if key in self.encodings]

    def _are_integers(self, trait: Trait) -> bool:
        """Returns whether all values of a trait are integers, by the types of its columns."""
        shape = self._shape
        types = [shape.columns[name] for key in trait.keys if (name := shape.match(key))]
        return trait.type == "number" and shape.kind == "wide" and all(map(is_integer, types))

    def _may_be_odd(self, i: int) -> bool:
        """Returns whether a value of the trait with this index can be odd."""
        return any((i, j) in self._odd for j in range(len(self._rules.traits[i].keys)))

    def _traits(self) -> list[exp.Expr]:
        """Returns for each trait its value, and whether any key before it holds what is not usable or not clear."""
        columns: list[exp.Expr] = []
        for i, trait in enumerate(self._rules.traits):
            names = [column(self._keys[key]) for key in self._present(trait)]
            if self._needs_values(trait) and names:
                values = [column(f"v{i}_{j}") for j in range(len(names))]
                columns.append(_named(_coalesced(values), f"v{i}"))
                unread = [
                    sql(":before AND NOT :key IS NULL", before=_none_of(values[: j + 1]), key=key)
                    for j, key in enumerate(names)
                ]
                columns.append(_named(_any(unread), f"u{i}"))
            else:
                kind = {"category": "VARCHAR", "list": "VARCHAR[]"}.get(trait.type, "DOUBLE")
                columns.append(_named(exp.cast(exp.Null(), kind), f"v{i}"))
        return columns

    def _errors(self) -> list[exp.Expr]:
        """Returns for each trait the text of words or of what is not usable, and whether it is odd.

        The state of a value is found only if the value may be an error.
        """
        columns: list[exp.Expr] = []
        for i, trait in enumerate(self._rules.traits):
            present = self._present(trait)
            if self._needs_values(trait) and present:
                unclear, wrong = [], []
                for j, key in enumerate(present):
                    before = _none_of([column(f"v{i}_{k}") for k in range(j)])
                    state = self._states[i, j]
                    if (i, j) in self._odd:
                        unclear.append(sql(":before AND :state = 3", before=before, state=state))
                    wrong.append((sql(":before AND :state = 2", before=before, state=state), self._shape_text(key)))
                unread = column(f"u{i}")
                if unclear:
                    odd = sql("CASE WHEN :unread THEN :odd ELSE FALSE END", unread=unread, odd=_any(unclear))
                    columns.append(_named(odd, f"o{i}"))
                if trait.type not in ("category", "list"):
                    columns.append(
                        _named(sql("CASE WHEN :unread THEN :text END", unread=unread, text=case(wrong)), f"w{i}")
                    )
            elif not present:
                columns.append(_named(exp.cast(exp.Null(), "VARCHAR"), f"w{i}"))
            if trait.type in ("category", "list") and present:
                columns.append(_named(self._words(trait), f"w{i}"))
        return columns

    def _shape_text(self, key: str) -> exp.Expr:
        """Returns the JSON text of an unusable value, of text with ASCII letters and digits as in its shape.

        So that they are counted together. A backslash may begin a sign that is written with letters.
        """
        raw = self._raw(key)
        if self.encodings[key] in ("number", "boolean"):
            return raw
        return sql(
            "CASE WHEN :raw LIKE '\"%' AND NOT CONTAINS(:raw, :backslash) "
            "THEN TRANSLATE(:raw, :signs, :shapes) ELSE :raw END",
            raw=raw,
            backslash=text("\\"),
            signs=text(ascii_lowercase + ascii_uppercase + digits),
            shapes=text("a" * 26 + "A" * 26 + "9" * 10),
        )

    def _raw(self, key: str) -> exp.Expr:
        """Returns the value of a key as JSON text; NULL if the source does not have the key."""
        if key not in self.encodings:
            return exp.Null()
        return as_json_text(column(self._keys[key]), self.encodings[key])

    def _words(self, trait: Trait) -> exp.Expr:
        """Returns the value of a category or list as JSON text; those of several keys as `K` and a list."""
        if is_plain(trait, self.encodings):
            return column(self._keys[trait.keys[0]])
        first, *others = trait.keys
        present = [column(self._keys[key]) for key in others if key in self.encodings]
        if not present:
            return self._raw(first)
        return sql(
            "CASE WHEN :alone THEN :first ELSE :every END",
            alone=_none_of(present),
            first=self._raw(first),
            every=_json_list([self._raw(key) for key in trait.keys], SEVERAL_KEYS),
        )

    def _profiles(self) -> list[exp.Expr]:
        """Returns the state of each profile, and the entry if it is odd."""
        rules, shape, states = self._rules, self._shape, self.states
        values = {trait.name: (trait, column(f"v{i}")) for i, trait in enumerate(rules.traits)}
        branches: list[tuple[exp.Expr, exp.Expr]] = []
        odd: list[tuple[exp.Expr, exp.Expr]] = []
        unclear = [column(f"o{i}") for i in range(len(rules.traits)) if self._may_be_odd(i)]
        if shape.kind == "object" and shape.is_entry:
            is_other = sql("COALESCE(JSON_TYPE(:document), '') <> 'OBJECT'", document=column("document"))
            odd.append((self._if_empty(is_other), text(NOT_AN_ENTRY)))
            branches.append((odd[0][0], integer(states.odd)))
        if (merged := is_merged(shape)) is not None:
            branches.append((merged, integer(states.merged)))
        if self._sample is not None:
            branches.append((is_outside_sample(shape, self._sample), integer(states.left_out)))
        if shape.kind == "object":
            if shape.is_entry:
                kind = sql("COALESCE(JSON_TYPE(document, '/traits'), 'NULL')")
            else:
                # Text that is not JSON has no type.
                kind = sql(
                    "COALESCE(JSON_TYPE(document), CASE WHEN COALESCE(TRIM(original), '') = '' THEN 'NULL' END, '')"
                )
            is_other = sql("NOT :kind IN ('OBJECT', 'NULL')", kind=kind)
            odd.append((self._if_empty(is_other), text(WRONG_TRAITS)))
        if unclear:
            odd.append((exp.Paren(this=_any(unclear)), _json_list([self._raw(key) for key in self._keys], "")))
        branches += [(condition, integer(states.odd)) for condition, _ in odd]
        if rules.filter is not None:
            kept = compile_condition(rules.filter, values)
            branches.append((exp.Not(this=exp.Paren(this=kept)), integer(states.filtered)))
        branches.append(
            (_all([sql(":value IS NULL", value=values[name][1]) for name in rules.compiled.deciding]), integer(0))
        )
        clusters, rest = cluster_states(rules, values)
        branches += clusters
        columns: list[exp.Expr] = [_named(exp.cast(case(branches, rest), "INTEGER"), "state")]
        columns.append(_named(case(odd) if odd else exp.cast(exp.Null(), "VARCHAR"), "entry"))
        for i, trait in enumerate(rules.traits):
            value = column(f"v{i}")
            if trait.type in ("number", "date"):
                half = sql("CAST(CAST(CAST(:value AS FLOAT) AS BIT) AS UINTEGER) >> 16", value=value)
                columns.append(_named(sql("CAST(COALESCE(:half, 65535) AS INTEGER)", half=half), f"b{i}"))
        return columns

    def _if_empty(self, condition: exp.Expr) -> exp.Expr:
        """Returns a condition that is evaluated only for rows without any value; it is false for all others."""
        empty = _none_of([column(name) for name in self._keys.values()])
        return sql("CASE WHEN :empty THEN :condition ELSE FALSE END", empty=empty, condition=condition)


def is_plain(trait: Trait, encodings: Mapping[str, Encoding]) -> bool:
    """Returns whether the words of a category or list are returned as the source has them, and not as JSON text."""
    return encodings.get(trait.keys[0]) == "text" and not any(key in encodings for key in trait.keys[1:])


def _pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _named(expression: exp.Expr, name: str) -> exp.Alias:
    return exp.Alias(this=expression, alias=exp.to_identifier(name, quoted=True))


def _coalesced(values: Sequence[exp.Expr]) -> exp.Expr:
    return values[0] if len(values) == 1 else exp.func("COALESCE", *values)


def _all(conditions: Sequence[exp.Expr]) -> exp.Expr:
    return exp.and_(*conditions, copy=False) if conditions else exp.true()


def _any(conditions: Sequence[exp.Expr]) -> exp.Expr:
    return exp.or_(*conditions, copy=False)


def _none_of(values: Sequence[exp.Expr]) -> exp.Expr:
    return _all([sql(":value IS NULL", value=value) for value in values])


def _json_list(values: Sequence[exp.Expr], prefix: str) -> exp.Expr:
    """Returns a list of JSON texts as JSON text."""
    parts: list[exp.Expr] = []
    for value in values:
        parts += [text(","), sql("COALESCE(:value, 'null')", value=value)]
    return exp.func("CONCAT", text(f"{prefix}["), *parts[1:], text("]"))
