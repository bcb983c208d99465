"""Words as PostgreSQL decides them (15 and later, server encoding UTF8), exactly as `worker.clusters.parsing` does.

The expressions depend on no locale and raise for no text. The versions of Unicode of Python and the server may differ:
only in how they compose characters that one of them does not know.

The patterns are those of `words` and `pii` for a text in its normal form, whose only white space is the space.
PostgreSQL knows `\\w` and letters without case as its locale has them, so these patterns are matched with a *folded*
text: in small letters, with `~` for each character outside ASCII that is not part of a word, so that `_WORD` is `\\w`.
PostgreSQL compiles a pattern once and keeps 32 of them for each connection, so there are few.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase

import sqlglot
from sqlglot import exp

from worker.clusters.parsing import words
from worker.clusters.parsing.words import Vocabulary
from worker.clusters.sql import word_patterns
from worker.clusters.sql.templates import integer, is_in, text
from worker.clusters.sql.words import code_points

# What Python's `re` takes for letters of ASCII if it ignores case, and they.
_CAPITALS = f"{ascii_uppercase}İıſ\u212a"
_SMALL = f"{ascii_lowercase}iisk"
_WORD = r"[a-z0-9_\u0080-\U0010ffff]"

# As `word_patterns.CLEAN`: words that are surely usable if they are not too long. Counted repetitions would be slow.
_CLEAN = r"^(?:[A-Za-z]+(?:[ &_-][A-Za-z]+)*(?:-[0-9]{1,2}| [0-9]{1,4})?|[A-Za-z]{1,9}[0-9]{1,2})$"

_OPEN, _CLOSE, _DASHES = "[(\\[<{\"'`]+", "[)\\]>}\"'`]+", r"[\-\u2010-\u2015\u2212._/? ]+"

_MARKUP = rf"""
    <[a-z/!?%] | \]\( | ``` | \{{\{{ | \}}\}} | \$\{{ | \{{%
  | (?<!{_WORD})(?:(?:java|vb)script[ ]*: | data:[a-z]+/)
  | ^\[object[ ]{_WORD}+\]$
"""
_SUSPICIOUS = r"[0-9@:]|www\."
_PERSONAL = rf"""
    [^ @]@[^ @]+\.[^ @]
  | ^(?:mailto|tel|sms|skype):
  | [a-z][a-z0-9+.-]*:// | (?<!{_WORD})www\.[a-z0-9]
  | (?:\+|(?<!{_WORD})00)[0-9][0-9 ().-]{{5,}}[0-9]
  | [0-9]{{7,}}
  | (?<![0-9a-z])(?=[0-9a-f]*[0-9])[0-9a-f]{{12,}}(?![0-9a-z])
  | (?<![0-9a-f])[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}
  | ^(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}$ | (?:[0-9a-f]{{1,4}}:){{3}}
  | ^(?:use|usr|cus|per|acc|anon)_(?={_WORD}*[0-9]){_WORD}+$
  | ^(?:user|usr|uid|id|customer|cust|member|contact|lead|visitor|anon|person|account|acct)[_:#-]?[0-9]{{3,}}$
  | ^[ +().,/-]*(?:[0-9][ +().,/-]*){{7,}}$
"""
_RANDOM = (
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]{12})(?=[A-Za-z]*[0-9])"
    r"(?:[A-Za-z0-9]*(?:[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z]))){4}"
)
_NUMBER = r"[1-9][0-9]{0,2}(?:[,.][0-9]{3})+|0|[1-9][0-9]*"
_AMOUNT = (
    rf"^[<>\u2264\u2265~$\u20ac\u00a3]? ?({_NUMBER})"
    rf"(?: ?[\-\u2013] ?[$\u20ac\u00a3]?({_NUMBER}))? ?\+?$"
)

_WORD_OF = """
SELECT CASE
    WHEN LENGTH(w_shown) <= :longest
    THEN BTRIM(REGEXP_REPLACE(NORMALIZE(w_shown, NFC), :spaces, ' ', 'g'), ' ')
  END AS w_word
FROM (
  SELECT REGEXP_REPLACE(
    BTRIM(REGEXP_REPLACE(:value, :spaces, ' ', 'g'), ' '), :invisible, '', 'g'
  ) AS w_shown
  OFFSET 0
) AS w_texts
OFFSET 0
"""
"""The normal form of a text; NULL if the text is far too long."""

# No other letters than ß have a small form in ASCII after NFKC.
_IS_PLACEHOLDER = """
LENGTH(w_word) <= :longest AND TRANSLATE(
  REGEXP_REPLACE(
    REPLACE(REPLACE(LOWER(NORMALIZE(w_word, NFKC)), 'ß', 'ss'), 'ẞ', 'ss'),
    ' */ *', '/', 'g'
  ),
  '_-', '  '
) ~ :placeholder
"""

_FOLDED = """
TRANSLATE(
  CASE WHEN OCTET_LENGTH(w_form) = LENGTH(w_form) THEN w_form ELSE REGEXP_REPLACE(w_form, :no_word, '~', 'g') END,
  :capitals, :small
)
"""

_IS_AMOUNT = """
(
  SELECT CASE
      WHEN w_high IS NULL THEN FALSE
      WHEN w_high = 0 THEN w_low < 1000000 OR w_low % 1000 = 0
      WHEN 1900 <= w_low AND w_low < w_high AND w_high < 2100 THEN TRUE
      ELSE w_low < w_high AND w_high <= 100 * CASE WHEN w_low <= 1 THEN 10000 ELSE w_low END
        AND w_low % 10 <= 1 AND w_high % 10 IN (0, 9)
    END
  FROM (
    SELECT
      CAST(TRANSLATE(w_parts[1], ',.', '') AS DECIMAL) AS w_low,
      CASE
        WHEN NOT w_parts IS NULL THEN CAST(TRANSLATE(COALESCE(w_parts[2], '0'), ',.', '') AS DECIMAL)
      END AS w_high
    FROM (SELECT REGEXP_MATCH(w_form, :amount) AS w_parts OFFSET 0) AS w_match
    OFFSET 0
  ) AS w_range
)
"""

# Whether a word is markup, or is personal, unchanged or in NFKC.
_IS_REFUSED = """
EXISTS (
  SELECT 1
  FROM (
    SELECT w_form, w_number, :folded AS w_folded
    FROM UNNEST(
      CASE
        WHEN OCTET_LENGTH(w_word) = LENGTH(w_word) THEN ARRAY[w_word]
        ELSE ARRAY[w_word, NORMALIZE(w_word, NFKC)]
      END
    ) WITH ORDINALITY AS w_forms(w_form, w_number)
    OFFSET 0
  ) AS w_compared
  WHERE CASE
      WHEN w_number = 1 AND w_folded ~ :markup THEN TRUE
      WHEN NOT w_folded ~ :suspicious THEN FALSE
      WHEN w_folded ~ :personal OR w_form ~ :random THEN NOT :is_amount
      ELSE FALSE
    END
)
"""

_ANY_WORD = """
CASE
  WHEN :value IS NULL OR :value = '' THEN NULL
  WHEN :is_named OR (:is_clean) THEN :value
  ELSE (
    SELECT CASE
        WHEN :is_named_word THEN w_word
        WHEN w_word = '' OR :is_placeholder THEN NULL
        WHEN w_word IS NULL OR LENGTH(w_word) > :word_length OR :is_refused THEN ''
        ELSE w_word
      END
    FROM (:word_of) AS w_words
  )
END
"""

_NAMED_WORD = """
CASE
  WHEN :value IS NULL OR :value = '' THEN NULL
  WHEN :is_named THEN :value
  WHEN :is_clean THEN ''
  ELSE (
    SELECT CASE WHEN :is_named_word THEN w_word WHEN w_word = '' OR :is_placeholder THEN NULL ELSE '' END
    FROM (:word_of) AS w_words
  )
END
"""


def found_word(value: exp.Expr, vocabulary: Vocabulary) -> exp.Expr:
    """Returns an expression of a text: a usable word in its normal form, `''` if the text is wrong, NULL if missing."""
    value = plain_text(value)
    named = sorted(vocabulary.named)
    parts = {
        "value": value,
        "is_named": is_in(value, named),
        "is_named_word": is_in(exp.column("w_word"), named),
        "is_clean": sql(
            ":value ~ :clean AND LENGTH(:value) <= :longest AND NOT :is_placeholder",
            value=value,
            clean=text(_CLEAN),
            longest=integer(words.WORD_LENGTH),
            is_placeholder=is_in(sql("LOWER(:value)", value=value), word_patterns.PLACEHOLDERS),
        ),
        "word_of": _word_of(value),
        "is_placeholder": _is_placeholder(),
    }
    if vocabulary.is_closed:
        return sql(_NAMED_WORD, **parts)
    return sql(_ANY_WORD, **parts, word_length=integer(words.WORD_LENGTH), is_refused=_is_refused())


def plain_text(value: exp.Expr) -> exp.Expr:
    """Returns a value as text that compares by its bytes."""
    return exp.Paren(this=exp.Collate(this=exp.cast(value, "TEXT"), expression=exp.to_identifier("C", quoted=True)))


def sql(template: str, **parts: exp.Expr) -> exp.Expr:
    """Returns an expression from a template in PostgreSQL's dialect, see `templates.sql`."""
    return exp.replace_placeholders(_parse(template), **{name: part.copy() for name, part in parts.items()})


@lru_cache
def _parse(template: str) -> exp.Expr:
    return sqlglot.parse_one(template, dialect="postgres")


def _word_of(value: exp.Expr) -> exp.Expr:
    return sql(
        _WORD_OF,
        value=value,
        longest=integer(words.LONGEST_DECOMPOSED),
        spaces=text(f"[{code_points.white_space()}]+"),
        invisible=text(f"[{code_points.invisible()}]+"),
    )


def _is_placeholder() -> exp.Expr:
    return sql(
        _IS_PLACEHOLDER,
        longest=integer(words.LONGEST_PLACEHOLDER),
        placeholder=text(_placeholder()),
    )


def _placeholder() -> str:
    """Returns a pattern of placeholders after NFKC in small letters, with a space for each `_` and `-`."""
    plain, bracketed = (
        "|".join(re.escape(word) for word in sorted(found))
        for found in (words.PLACEHOLDERS, words.PLACEHOLDERS_IN_BRACKETS)
    )
    return f"^(?:#?(?:{plain})|{_DASHES}|{_OPEN} *(?:{bracketed}|{_DASHES}) *{_CLOSE})$"


def _is_refused() -> exp.Expr:
    return sql(
        _IS_REFUSED,
        folded=sql(
            _FOLDED,
            no_word=text(f"[{code_points.no_word_character()}]"),
            capitals=text(_CAPITALS),
            small=text(_SMALL),
        ),
        markup=text(_compact(_MARKUP)),
        suspicious=text(_SUSPICIOUS),
        personal=text(_compact(_PERSONAL)),
        random=text(_RANDOM),
        is_amount=sql(_IS_AMOUNT, amount=text(_AMOUNT)),
    )


def _compact(pattern: str) -> str:
    return "".join(line.strip() for line in pattern.splitlines()).replace(" | ", "|").replace("| ", "|")
