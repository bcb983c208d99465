"""The columns for one key of a trait: the value of each row, and whether it is usable.

Only values about which SQL and the parsers in `worker.clusters.parsing` certainly agree are decided in SQL. Any other
value is *odd*: its profile is returned unchanged, and the fold reads it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlglot import exp

from worker.clusters.parsing.dates import EARLIEST, EARLIEST_EPOCH, LATEST
from worker.clusters.parsing.words import Vocabulary
from worker.clusters.rules.trait import Trait
from worker.clusters.sql import word_patterns
from worker.clusters.sql.source_shape import Encoding
from worker.clusters.sql.templates import column, double, integer, is_in, sql, text

USABLE, MISSING, WRONG, ODD = range(4)
"""The state of a value. A column of states has NULL for a missing value, too."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_US = timedelta(days=1) // _MICROSECOND

_TRUE = ("true", "t", "yes", "y", "on", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "off", "0", "0.0")

# Python strips white space around a number; such numbers are odd.
_DECIMAL = r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?"
# Any of these signs rules out a decimal. A backslash may stand for any sign.
_NO_DECIMAL = r"[^\\]*[^0-9eE+\-.\s\v\\][^\\]*"
_NO_DECIMAL_TEXT = r"(?s).*[^0-9eE+\-.\s\v\\].*"
_DATE = r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_MOMENT = rf"{_DATE}[T ]{_CLOCK}(?:Z|\+00:00| UTC)?"
_WHOLE = r"[1-9][0-9]{8,12}(?:\.0)?"
# A visible ASCII character, and no digit: not blank, and not a date in any form.
_NO_DATE = r"[^0-9\\]*[!-/:-\[\]-~][^0-9\\]*"
_NO_BOOLEAN = r"[!-\[\]-~](?:[ -\[\]-~]*[!-\[\]-~])?"


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """The computed columns of a trait under one key, in the order in which they build on each other.

    Attributes:
        parsed: What the text contains, if it is of the trait's type.
        value: The usable value: a double, or a word; NULL without one.
        state: `USABLE`, `MISSING`, `WRONG` or `ODD`.
        raw: The value as JSON text.
        may_be_odd: Whether a value can be `ODD`.
    """

    parsed: exp.Expr | None
    value: exp.Expr
    state: exp.Expr
    raw: exp.Expr
    may_be_odd: bool = True


@dataclass(frozen=True, slots=True)
class KeyReader:
    """Makes the columns of a trait.

    Attributes:
        trait: The trait.
        vocabulary: The words that the rules name for it.
        as_of: When the sync began, in Unix seconds.
    """

    trait: Trait
    vocabulary: Vocabulary
    as_of: float

    def columns(self, source: str, encoding: Encoding, parsed: str, value: str) -> KeyColumns:
        """Returns the columns for a key.

        Args:
            source: Name of the column that holds the key's value.
            encoding: How it holds it.
            parsed: Name that the column `parsed` will have.
            value: Name that the column `value` will have.
        """
        natural = {"number": "number", "boolean": "boolean", "date": "moment"}.get(self.trait.type)
        key = column(source)
        if encoding not in ("json", "text", natural):
            key, encoding = as_json_text(key, encoding), "json"
        elif encoding == "json":
            key = as_json_text(key, encoding)
        raw = as_json_text(key, encoding) if encoding != "json" else key
        if encoding == natural:
            return self._typed(key, column(parsed), column(value), raw)
        make = {"number": self._number, "boolean": self._boolean, "date": self._date}.get(self.trait.type, self._word)
        return make(key, encoding == "json", column(parsed), column(value), raw)

    def _typed(self, key: exp.Expr, parsed: exp.Expr, value: exp.Expr, raw: exp.Expr) -> KeyColumns:
        if self.trait.type == "date":
            microseconds = sql("EPOCH_US(CAST(:key AS TIMESTAMP))", key=key)
            return KeyColumns(
                microseconds,
                self._age(parsed),
                sql(
                    "CASE WHEN :value IS NOT NULL THEN 0 WHEN :key IS NULL THEN 1 WHEN :usable THEN 1 ELSE 3 END",
                    value=value,
                    key=key,
                    usable=self._is_date(parsed),
                ),
                raw,
            )
        return KeyColumns(
            sql("CAST(:key AS DOUBLE)", key=key),
            self._bounded(parsed) if self.trait.type == "number" else parsed,
            sql(
                "CASE WHEN :value IS NOT NULL THEN 0 WHEN :key IS NULL THEN 1 ELSE 2 END",
                value=value,
                key=key,
            ),
            raw,
            may_be_odd=False,
        )

    def _number(self, key: exp.Expr, is_json: bool, parsed: exp.Expr, value: exp.Expr, raw: exp.Expr) -> KeyColumns:
        if is_json:
            # JSON's own numbers first: casting them needs no pattern. No other JSON text can be cast.
            number = sql(
                "CASE WHEN :key IS NULL THEN NULL "
                "ELSE COALESCE(TRY_CAST(:key AS DOUBLE), CASE WHEN :quoted THEN TRY_CAST(:content AS DOUBLE) END) END",
                key=key,
                quoted=_matches(key, f'"{_DECIMAL}"'),
                content=_unquoted(key),
            )
        else:
            number = sql(
                "CASE WHEN :key IS NULL THEN NULL WHEN :plain THEN TRY_CAST(:key AS DOUBLE) END",
                key=key,
                plain=_matches(key, _DECIMAL),
            )
        wrong = sql(
            "NOT :parsed IS NULL OR :wrong",
            parsed=parsed,
            wrong=_no_object(key, _NO_DECIMAL) if is_json else _matches(key, _NO_DECIMAL_TEXT),
        )
        return KeyColumns(number, self._bounded(parsed), _state(key, is_json, value, wrong), raw)

    def _boolean(self, key: exp.Expr, is_json: bool, parsed: exp.Expr, value: exp.Expr, raw: exp.Expr) -> KeyColumns:
        small, number = sql("LOWER(:key)", key=key), sql("TRY_CAST(:key AS DOUBLE)", key=key)
        form = '"{}"' if is_json else "{}"
        found = sql(
            "CASE WHEN :key IS NULL THEN NULL WHEN :key = 'true' THEN 1e0 WHEN :key = 'false' THEN 0e0 "
            "WHEN :is_true THEN 1e0 WHEN :is_false THEN 0e0 WHEN :one THEN 1e0 WHEN :zero THEN 0e0 END",
            key=key,
            is_true=is_in(small, map(form.format, _TRUE)),
            is_false=is_in(small, map(form.format, _FALSE)),
            one=sql(":number = 1e0", number=number) if is_json else exp.false(),
            zero=sql(":number = 0e0", number=number) if is_json else exp.false(),
        )
        wrong = (
            sql("NOT TRY_CAST(:key AS DOUBLE) IS NULL OR :wrong", key=key, wrong=_no_object(key, _NO_BOOLEAN))
            if is_json
            else _matches(key, _NO_BOOLEAN)
        )
        return KeyColumns(found, parsed, _state(key, is_json, value, wrong), raw)

    def _date(self, key: exp.Expr, is_json: bool, parsed: exp.Expr, value: exp.Expr, raw: exp.Expr) -> KeyColumns:
        quote, maybe = ('"', '"?') if is_json else ("", "")
        inner = _unquoted(key) if is_json else key
        digits = sql("TRY_CAST(REGEXP_EXTRACT(:key, '[0-9]+') AS BIGINT)", key=key)
        first, last = _microseconds(EARLIEST_EPOCH) // 10**6, _microseconds(LATEST) // 10**6
        microseconds = sql(
            "CASE WHEN :key IS NULL THEN NULL "
            "WHEN LENGTH(:key) = :date_length AND :is_date THEN EPOCH_US(TRY_CAST(:content AS TIMESTAMP)) "
            "WHEN :is_moment THEN EPOCH_US(TRY_CAST(:content AS TIMESTAMP)) "
            "WHEN :is_number THEN CASE WHEN :digits BETWEEN :first AND :last THEN :digits * 1000000 "
            "WHEN :digits BETWEEN :first_ms AND :last_ms THEN :digits * 1000 END END",
            key=key,
            date_length=integer(12 if is_json else 10),
            is_date=_matches(key, f"{quote}{_DATE}{quote}"),
            is_moment=_matches(key, f"{quote}{_MOMENT}{quote}"),
            is_number=_matches(key, f"{maybe}{_WHOLE}{maybe}"),
            content=inner,
            digits=digits,
            first=integer(first),
            last=integer(last),
            first_ms=integer(1000 * first),
            last_ms=integer(1000 * last),
        )
        wrong = _no_object(key, _NO_DATE) if is_json else _matches(key, _NO_DATE)
        state = _state(key, is_json, value, wrong)
        if self.trait.max_age_days is not None:
            state = sql(
                "CASE WHEN :old THEN 1 ELSE :state END",
                old=sql(":p AND :v IS NULL", p=self._is_date(parsed), v=value),
                state=state,
            )
        return KeyColumns(microseconds, self._age(parsed), state, raw)

    def _word(self, key: exp.Expr, is_json: bool, parsed: exp.Expr, value: exp.Expr, raw: exp.Expr) -> KeyColumns:
        if self.trait.type == "list":
            words = sql(
                "CASE WHEN :matches THEN CAST(CAST(:key AS JSON) AS VARCHAR[]) END",
                matches=_matches(key, word_patterns.LIST),
                key=key,
            )
            return KeyColumns(None, words, _state(key, is_json, value, exp.false()), raw)
        named = sorted(self.vocabulary.named)
        quote = word_patterns.word_in_json if is_json else str
        is_clean = is_clean_word(key, is_json)
        inner = _unquoted(key) if is_json else key
        accepted = is_in(key, map(quote, (word for word in named if not any(sign in word for sign in '"\\'))))
        if self.vocabulary.is_closed:
            word = sql("CASE WHEN :named THEN :content END", named=accepted, content=inner)
            wrong = is_clean
        else:
            word = sql("CASE WHEN :named OR :clean THEN :content END", named=accepted, clean=is_clean, content=inner)
            wrong = exp.false()
        if is_json:
            wrong = sql(
                ":wrong OR :key IN ('true', 'false') OR NOT TRY_CAST(:key AS DOUBLE) IS NULL", wrong=wrong, key=key
            )
        return KeyColumns(None, word, _state(key, is_json, value, wrong), raw)

    def _bounded(self, parsed: exp.Expr) -> exp.Expr:
        return sql(
            "CASE WHEN :parsed BETWEEN :lowest AND :highest THEN :parsed END",
            parsed=parsed,
            lowest=double(self.trait.lowest),
            highest=double(self.trait.highest),
        )

    def _is_date(self, microseconds: exp.Expr) -> exp.Expr:
        """Returns whether a moment is surely usable. That of a 0 that was written as a date is not."""
        return sql(
            ":moment BETWEEN :first AND :last AND :moment <> 0",
            moment=microseconds,
            first=integer(_microseconds(EARLIEST)),
            last=integer(_microseconds(LATEST)),
        )

    def _age(self, microseconds: exp.Expr) -> exp.Expr:
        """Returns the age in days of a usable moment, if it is not too old."""
        now = datetime.fromtimestamp(self.as_of, UTC)
        age = sql(
            "CAST(:now - :moment AS DOUBLE) / :day",
            now=integer(_microseconds(now)),
            moment=microseconds,
            day=double(_DAY_US),
        )
        usable = self._is_date(microseconds)
        if self.trait.max_age_days is not None:
            usable = sql(":usable AND :age <= :most", usable=usable, age=age, most=double(self.trait.max_age_days))
        return sql("CASE WHEN :usable THEN :age END", usable=usable, age=age)


def is_clean_word(value: exp.Expr, is_json: bool) -> exp.Expr:
    """Returns whether a text is certainly a usable word in its normal form, of a trait whose words are not given."""
    quote = word_patterns.word_in_json if is_json else str
    return sql(
        ":matches AND NOT :placeholder",
        matches=_matches(value, word_patterns.CLEAN_JSON if is_json else word_patterns.CLEAN),
        placeholder=is_in(sql("LOWER(:key)", key=value), map(quote, word_patterns.PLACEHOLDERS)),
    )


def as_json_text(key: exp.Expr, encoding: Encoding) -> exp.Expr:
    """Returns a value as JSON text; NULL if it is NULL."""
    if encoding == "json":
        return sql("CAST(:key AS VARCHAR)", key=key)
    return sql("CASE WHEN NOT :key IS NULL THEN CAST(TO_JSON(:key) AS VARCHAR) END", key=key)


def _state(key: exp.Expr, is_json: bool, value: exp.Expr, wrong: exp.Expr) -> exp.Expr:
    return sql(
        "CASE WHEN NOT :value IS NULL THEN 0 WHEN :key IS NULL THEN 1 WHEN :nothing THEN 1 WHEN :wrong THEN 2 "
        "ELSE 3 END",
        value=value,
        key=key,
        nothing=is_in(key, _nothing(is_json)),
        wrong=wrong,
    )


def _missing(key: exp.Expr, is_json: bool) -> exp.Expr:
    return sql(":key IS NULL OR :nothing", key=key, nothing=is_in(key, _nothing(is_json)))


def _nothing(is_json: bool) -> tuple[str, ...]:
    return ("null", '""') if is_json else ("",)


def _matches(key: exp.Expr, pattern: str) -> exp.Expr:
    return sql("REGEXP_FULL_MATCH(:key, :pattern)", key=key, pattern=text(pattern))


def _no_object(key: exp.Expr, inner: str) -> exp.Expr:
    """Returns whether JSON text is a list, true, false, or a string whose inside matches a pattern."""
    return _matches(key, rf'(?s)true|false|\[.*|"{inner}"')


def _unquoted(key: exp.Expr) -> exp.Expr:
    return sql("SUBSTRING(:key, 2, LENGTH(:key) - 2)", key=key)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
