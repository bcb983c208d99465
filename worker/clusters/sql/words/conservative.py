"""Words for the engines that were not run: Redshift, Snowflake, BigQuery and Databricks.

None of them has every function that an exact decision needs: look-around, NFC, and classes of characters as Python
knows them. So a word is usable there only if it surely is for `Vocabulary.parse` too: letters of common scripts with
single signs between them, short numbers, and amounts such as "1,001-5,000" (see `Engine.word`), or a word that rules
name. Other texts are missing if they are a placeholder, and else wrong.

What differs between them, for texts that the fold would use:

- BigQuery composes characters (NFC), so it reads `e` with a combining accent as `é`. The others refuse such a text.
- Redshift compares multi-byte characters in patterns by its own rules, so only words in ASCII are usable there.
- A list is read if it is in one line and its members are strings without escapes. Redshift cannot decide about each
  member: it reads a list if all members are usable in their normal form, and refuses all of it otherwise.
- Shapes show characters outside ASCII as `*`, and shorten only runs of letters, digits, spaces and `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from string import ascii_lowercase, ascii_uppercase, digits

import sqlglot
from sqlglot import exp

from worker.clusters.parsing import words
from worker.clusters.parsing.words import Vocabulary
from worker.clusters.sql.templates import case, integer, is_in, text
from worker.clusters.sql.words import code_points

_ASCII_LETTERS = "A-Za-z"


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of the SQL that differ between engines.

    Attributes:
        dialect: The dialect of sqlglot.
        space: The inside of a class of white space.
        blank: The inside of a class of the space and the tab.
        control: The inside of a class of control characters.
        letters: The inside of a class of the letters of usable words.
    """

    dialect: str
    space: str = "[:space:]"
    blank: str = "[:blank:]"
    control: str = "[:cntrl:]"
    letters: str = _ASCII_LETTERS

    @property
    def word(self) -> str:
        """A pattern of usable words; for a text that is not a placeholder and at most `WORD_LENGTH` characters."""
        letter = f"[{self.letters}]+"
        return "|".join(
            [
                f"{letter}((['_/-]| ?& ?|, | [/-] | ){letter})*",
                f"{letter}([ -]{letter})*(-[0-9]{{1,2}}| [0-9]{{1,4}})",
                "[A-Za-z]{1,9}[0-9]{1,2}( [0-9]{1,4})?",
                *(_AMOUNTS if self.letters != _ASCII_LETTERS else (amount.replace("–", "") for amount in _AMOUNTS)),
            ]
        )

    @property
    def dashes(self) -> str:
        """A pattern of dashes and signs that stand for no value."""
        return "[-._/? ]+" if self.letters == _ASCII_LETTERS else "(-|[‐-―−._/? ])+"


def _range(low: str, high: str, first: Iterable[tuple[str, str]]) -> str:
    """Returns a pattern of ranges of two numbers with `first` digits and then the rest of `low` and `high`."""
    ends = "|".join(f"{one}{low}[01] ?[–-] ?[$]?{other}{high}[09]" for one, other in first)
    return f"[$]?({ends})"


# No more than six digits are never a phone number or an id. A range with more is an amount if its ends are round and
# the second one is greater: it begins with a greater digit, or has one digit more.
_GREATER = [*((str(n), f"[{n + 1}-9]") for n in range(1, 8)), ("8", "9")]
_ANY = [("[1-9]", "[1-9]")]
_AMOUNTS = (
    "[0-9]{1,6}[+]?|[0-9]{1,3}[.][0-9]{1,2}|[0-9]{1,3} ?%",
    "[<>~$]? ?([1-9][0-9]{0,2}(,[0-9]{3})*,000|[1-9][0-9]{0,2}(,[0-9]{3})?) ?[+]?",
    "[$]?(0|[1-9][0-9]{0,2}) ?[–-] ?[$]?[1-9][0-9]{0,2}",
    _range("[0-9]", ",?[0-9]{2}", [("[1-9]", "[1-9]")]),
    _range(",?[0-9]{2}", ",?[0-9]{2}", _GREATER),
    _range(",?[0-9]{2}", "[0-9],?[0-9]{2}", _ANY),
    _range("[0-9],?[0-9]{2}", "[0-9],?[0-9]{2}", _GREATER),
    _range("[0-9],?[0-9]{2}", "[0-9]{2},?[0-9]{2}", _ANY),
)


@cache
def engine_of(dialect: str) -> Engine:
    """Returns the engine of a dialect. Finding the letters takes time, so it is not done before they are needed."""
    if dialect == "redshift":
        return Engine(dialect)
    letters = f"{_ASCII_LETTERS}{code_points.plain_letters()}"
    if dialect == "databricks":
        return Engine(dialect, space=r"\s", blank=r" \t", control=r"\p{Cntrl}", letters=letters)
    return Engine(dialect, letters=letters)


# After NFKC and in small letters where the engine can, with a space for each `_` and `-`.
_OPEN, _CLOSE = r"(\(|\[|<|\{|\"|'|`)+", r"(\)|\]|>|\}|\"|'|`)+"


def found_word(value: exp.Expr, vocabulary: Vocabulary, engine: Engine) -> exp.Expr:
    """Returns what `postgres.found_word` does, as far as the engine can tell."""
    value = exp.cast(value, "TEXT")
    word = _normal_form(value, engine)
    named = sorted(vocabulary.named)
    missing = exp.or_(
        sql(":word = ''", engine, word=word),
        sql("LENGTH(:word) <= :most", engine, word=word, most=integer(words.LONGEST_PLACEHOLDER)).and_(
            matches(_folded(word, engine), _placeholder(engine))
        ),
    )
    branches: list[tuple[exp.Expr, exp.Expr]] = [
        (sql(":value IS NULL", engine, value=value), exp.null()),
        (is_in(word, named), word),
        (missing, exp.null()),
    ]
    if not vocabulary.is_closed:
        too_long = sql("LENGTH(:word) > :most", engine, word=word, most=integer(words.WORD_LENGTH))
        branches += [(too_long, text("")), (matches(word, engine.word), word)]
    return case(branches, text(""))


def shape(value: exp.Expr, engine: Engine) -> exp.Expr:
    """Returns the shape of a text, with `*` for what is not ASCII."""
    value = exp.cast(value, "TEXT")
    begin = sql("SUBSTR(:value, 1, 60)", engine, value=value)
    signs_and_shown = (f'{ascii_lowercase}{ascii_uppercase}{digits}"', "a" * 26 + "A" * 26 + "9" * 10 + "'")
    signs: exp.Expr = exp.Anonymous(this="TRANSLATE", expressions=[begin, *map(text, signs_and_shown)])
    signs = replaced(replaced(signs, f"[{engine.space}]", " "), "[^ -~]", "*")
    for sign in ("a", "A", "9", " ", "*"):
        signs = replaced(signs, f"[{sign}]{{5,}}", f"{sign * 4}…")
    return sql(
        "CONCAT('\"', CASE WHEN LENGTH(:signs) <= 32 AND LENGTH(:value) <= 60 THEN :signs "
        "ELSE CONCAT(SUBSTR(:signs, 1, 31), '…') END, '\"')"
        if engine.dialect != "redshift"  # its CONCAT takes two arguments
        else "'\"' || CASE WHEN LENGTH(:signs) <= 32 AND LENGTH(:value) <= 60 THEN :signs "
        "ELSE SUBSTR(:signs, 1, 31) || '…' END || '\"'",
        engine,
        signs=signs,
        value=value,
    )


def sql(template: str, engine: Engine, **parts: exp.Expr) -> exp.Expr:
    """Returns an expression from a template in the engine's dialect, see `templates.sql`."""
    parsed = _parse(template, engine.dialect)
    return exp.replace_placeholders(parsed, **{name: part.copy() for name, part in parts.items()})


def matches(value: exp.Expr, pattern: str) -> exp.Expr:
    """Returns whether all of a text matches a pattern."""
    return exp.RegexpLike(this=value.copy(), expression=text(f"^({pattern})$"))


def replaced(value: exp.Expr, pattern: str, replacement: str) -> exp.Expr:
    """Returns a text with every match of a pattern replaced."""
    return exp.Anonymous(this="REGEXP_REPLACE", expressions=[value.copy(), text(pattern), text(replacement)])


@lru_cache
def _parse(template: str, dialect: str) -> exp.Expr:
    return sqlglot.parse_one(template, dialect=dialect)


def _normal_form(value: exp.Expr, engine: Engine) -> exp.Expr:
    word = sql("TRIM(:value)", engine, value=replaced(value, f"[{engine.space}]+", " "))
    return sql("NORMALIZE(:word, NFC)", engine, word=word) if engine.dialect == "bigquery" else word


def _folded(word: exp.Expr, engine: Engine) -> exp.Expr:
    """Returns a word as placeholders are compared."""
    small = "NORMALIZE_AND_CASEFOLD(:word, NFKC)" if engine.dialect == "bigquery" else "LOWER(:word)"
    unspaced = replaced(sql(small, engine, word=word), " */ *", "/")
    return sql("REPLACE(REPLACE(:word, '_', ' '), '-', ' ')", engine, word=unspaced)


def _placeholder(engine: Engine) -> str:
    plain, bracketed = (
        "|".join(escaped(word) for word in sorted(found) if word)
        for found in (words.PLACEHOLDERS, words.PLACEHOLDERS_IN_BRACKETS)
    )
    return f"#?({plain})|{engine.dashes}|{_OPEN} *({bracketed}|{engine.dashes})? *{_CLOSE}"


def escaped(word: str) -> str:
    """Returns a pattern that matches a word, in every engine."""
    return re.sub(r"([\\.\[\](){}*+?|^$])", r"\\\1", word)
