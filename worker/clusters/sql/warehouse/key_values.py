"""The value of a trait under one of its keys as SQL, in steps that build on each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlglot import exp

from worker.clusters.parsing.dates import EARLIEST, LATEST
from worker.clusters.parsing.words import Vocabulary
from worker.clusters.rules.trait import Trait
from worker.clusters.sql.source_shape import Encoding
from worker.clusters.sql.templates import double, integer, is_in, sql, text
from worker.clusters.sql.warehouse import dates
from worker.clusters.sql.warehouse.functions import Functions, own_column
from worker.clusters.sql.warehouse.numbers import WHITE_SPACE, number_in_column, number_in_text
from worker.clusters.sql.words import category_columns, category_of, list_columns, list_of

_TRUE = ("true", "t", "yes", "y", "on", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "off", "0", "0.0")
_LONGEST_BOOLEAN = 100

_SHAPE_OF_NUMBER = """
CASE
  WHEN NOT ABS(:number) <= 1000000000000000 THEN :one
  ELSE 'n' || CASE WHEN CAST(:number AS TEXT) LIKE '-%' THEN '-' ELSE '' END || RTRIM(RTRIM(CAST(ROUND(
    CAST(TRUNC(ABS(:number)) AS BIGINT) + CAST(ABS(:number) - TRUNC(ABS(:number)) AS NUMERIC), 6) AS TEXT), '0'), '.')
END
"""

SHAPE_LENGTH = 61
"""Characters of a wrong text that its shape depends on."""

IS_TEXT, IS_NUMBER, IS_SHAPE = "t", "n", "s"
"""First character of a wrong value: a text, a number as text, or already its shape."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    """The columns that are computed for one key of a trait.

    Attributes:
        steps: Expressions of columns, each of which the following ones refer to by its name.
        value: The usable value, from the last step; NULL without one.
        is_wrong: Whether the value is a trait error.
        wrong: The value as text after `IS_TEXT` or `IS_NUMBER`, or its shape after `IS_SHAPE`.
    """

    steps: list[exp.Expr]
    value: exp.Expr
    is_wrong: exp.Expr
    wrong: exp.Expr


@dataclass(frozen=True, slots=True)
class KeyReader:
    """Makes what is computed of a trait.

    Attributes:
        functions: Those of the engine.
        trait: The trait.
        vocabulary: The words that the rules name for it.
        as_of: When the sync began, in Unix seconds.
    """

    functions: Functions
    trait: Trait
    vocabulary: Vocabulary
    as_of: float

    def read(self, source: exp.Expr, encoding: Encoding, sql_type: str, steps: list[str]) -> KeyValue:
        """Returns what is computed of a key.

        Args:
            source: The column that holds the key's value.
            encoding: How it holds it.
            sql_type: Its type, as the engine names it.
            steps: Names of the columns of the steps; there may be more than are needed.
        """
        kind = self.trait.type
        names = [own_column(name) for name in steps]
        if encoding in ("number", "boolean"):
            return self._scalar(source, encoding, sql_type, names)
        if encoding == "moment" and kind == "date":
            return self._moment(source, sql_type, names)
        if encoding != "text":
            return self._text(self.functions.text(source, encoding), names)
        return self._text(source, names)

    def _scalar(self, source: exp.Expr, encoding: Encoding, sql_type: str, names: list[exp.Expr]) -> KeyValue:
        present = sql("NOT :source IS NULL", source=source)
        if encoding == "boolean":
            if self.trait.type == "boolean":
                return KeyValue([_flag(source)], names[0], exp.false(), text(IS_SHAPE))
            return KeyValue([], exp.Null(), present, text(f"{IS_SHAPE}boolean"))
        number = number_in_column(self.functions, source, sql_type)
        wrong = self._shape_of_number(names[0])
        if self.trait.type == "number":
            return KeyValue([number], self._bounded(names[0]), present, wrong)
        if self.trait.type == "boolean":
            return KeyValue([number], sql("CASE WHEN :n IN (0e0, 1e0) THEN :n END", n=names[0]), present, wrong)
        if self.trait.type == "date":
            steps = [number, *dates.number_steps(self.functions, names[0], names[1], names[2])]
            return KeyValue(steps, self._age(names[3]), self._is_not_old(present, names[3]), wrong)
        return KeyValue([number], exp.Null(), present, wrong)

    def _moment(self, source: exp.Expr, sql_type: str, names: list[exp.Expr]) -> KeyValue:
        # Only what is in range is converted: there are infinite moments.
        moment = sql(
            "CASE WHEN :source BETWEEN :first AND :last THEN :microseconds END",
            source=source,
            first=self.functions.moment(EARLIEST, sql_type),
            last=self.functions.moment(LATEST, sql_type),
            microseconds=self.functions.sql(self.functions.microseconds, value=source),
        )
        if sql_type.upper() != "DATE":
            moment = sql("NULLIF(:moment, 0)", moment=moment)
        return KeyValue(
            [moment],
            self._age(names[0]),
            self._is_not_old(sql("NOT :source IS NULL", source=source), names[0]),
            self._wrong_text(self.functions.text(source, "moment")),
        )

    def _text(self, source: exp.Expr, names: list[exp.Expr]) -> KeyValue:
        wrong, kind = self._wrong_text(source), self.trait.type
        if kind == "number":
            is_wrong = sql("NOT :source IS NULL AND :source <> ''", source=source)
            return KeyValue([number_in_text(self.functions, source)], self._bounded(names[0]), is_wrong, wrong)
        is_filled = sql("NOT :source IS NULL AND :content <> ''", source=source, content=dates.stripped(source))
        if kind == "boolean":
            return KeyValue([_flag_in_text(source)], names[0], is_filled, wrong)
        if kind == "date":
            *steps, moment = dates.date_steps(self.functions, source, (names[0], names[1], names[2]))
            is_zero = sql(":moment = 0 AND LENGTH(:content) > 10", moment=names[3], content=dates.stripped(source))
            found = sql("CASE WHEN NOT :is_zero THEN :moment END", is_zero=exp.Paren(this=is_zero), moment=names[3])
            return KeyValue([*steps, moment], self._age(found), self._is_not_old(is_filled, found), wrong)
        columns, of = (category_columns, category_of) if kind == "category" else (list_columns, list_of)
        words = of(names[0], self.functions.dialect)
        step = columns(source, self.vocabulary, self.functions.dialect).found
        return KeyValue([step], words.word, sql(":state = 2", state=words.state), wrong)

    def _bounded(self, number: exp.Expr) -> exp.Expr:
        return sql(
            "CASE WHEN :number BETWEEN :lowest AND :highest THEN :number END",
            number=number,
            lowest=double(self.trait.lowest),
            highest=double(self.trait.highest),
        )

    def _age(self, moment: exp.Expr) -> exp.Expr:
        """Returns the age in days of a moment that is usable and not too old."""
        usable, age = self._is_date(moment), self._days(moment)
        if self.trait.max_age_days is not None:
            usable = sql(":usable AND :age <= :most", usable=usable, age=age, most=double(self.trait.max_age_days))
        return sql("CASE WHEN :usable THEN :age END", usable=usable, age=age)

    def _is_not_old(self, present: exp.Expr, moment: exp.Expr) -> exp.Expr:
        """Returns whether a value without a usable age is an error: not one that is too old."""
        if self.trait.max_age_days is None:
            return present
        return sql(":present AND NOT COALESCE(:is_date, FALSE)", present=present, is_date=self._is_date(moment))

    def _is_date(self, moment: exp.Expr) -> exp.Expr:
        return sql(
            ":moment BETWEEN :first AND :last",
            moment=moment,
            first=integer(_microseconds(EARLIEST)),
            last=integer(_microseconds(LATEST)),
        )

    def _days(self, moment: exp.Expr) -> exp.Expr:
        now = integer(_microseconds(datetime.fromtimestamp(self.as_of, UTC)))
        return sql("CAST(:now - :moment AS DOUBLE) / :day", now=now, moment=moment, day=double(dates.DAY_US))

    def _wrong_text(self, source: exp.Expr) -> exp.Expr:
        return sql(
            "CONCAT(:mark, SUBSTRING(:source, 1, :most))",
            mark=text(IS_TEXT),
            source=source,
            most=integer(SHAPE_LENGTH),
        )

    def _shape_of_number(self, number: exp.Expr) -> exp.Expr:
        """Returns the marked shape of a number, as `value_shape` has it; only `number` if casts are not exact."""
        if not self.functions.is_exact:
            return text(f"{IS_SHAPE}number")
        return self.functions.sql(_SHAPE_OF_NUMBER, number=number, one=text(f"{IS_SHAPE}number"))


def _flag(source: exp.Expr) -> exp.Expr:
    return sql("CASE WHEN :source THEN 1e0 WHEN NOT :source THEN 0e0 END", source=source)


def _flag_in_text(source: exp.Expr) -> exp.Expr:
    word = sql("LOWER(TRIM(:source, :signs))", source=source, signs=text(WHITE_SPACE))
    return sql(
        "CASE WHEN :source = 'true' THEN 1e0 WHEN :source = 'false' THEN 0e0 "
        "WHEN LENGTH(:source) >= :longest THEN NULL WHEN :is_true THEN 1e0 WHEN :is_false THEN 0e0 END",
        source=source,
        longest=integer(_LONGEST_BOOLEAN),
        is_true=is_in(word, _TRUE),
        is_false=is_in(word, _FALSE),
    )


def _microseconds(moment: datetime) -> int:
    return (moment - dates.EPOCH) // dates.MICROSECOND
