"""Words of profiles in their normal form: which texts are usable as categories and items of lists.

Profile data is hostile input: anyone with the public write key of a website can set a trait. Words are therefore kept
only in a normal form without invisible characters, and markup is not usable.
"""

import re
import unicodedata
from dataclasses import dataclass

from worker.clusters.parsing.pii import is_personal

WORD_LENGTH = 80
"""Most characters of a usable word in its normal form."""

NAMED_LENGTH = 100
"""Most characters of a word that rules name."""

LONGEST_DECOMPOSED = 4 * NAMED_LENGTH
"""Most characters of a text before NFC, which may combine four into one. NFC is slow on many marks."""

_CACHED = 4096
_CACHED_LENGTH = 2 * WORD_LENGTH

# Invisible though neither control nor format characters: the grapheme joiner, Hangul and Khmer fillers, the blank
# Braille pattern, variation selectors and tags.
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)

PLACEHOLDERS = frozenset(
    [
        *("null", "none", "nil", "nan", "nat", "undefined", "unknown", "unspecified", "\\n"),
        *("n/a", "n/a.", "n.a.", "n.a", "n/d", "not set", "notset", "not available", "not applicable"),
        *("not provided", "not specified", "not defined", "not known", "no value", "no data"),
    ]
)
PLACEHOLDERS_IN_BRACKETS = PLACEHOLDERS | {"na", "blank", "empty", "missing", ""}
_BRACKETS = re.compile(r"[(\[<{\"'`]+\s*(.*?)\s*[)\]>}\"'`]+")
_JOINED = str.maketrans("_-", "  ")
_DASHES = re.compile(r"[-‐-―−._/?\s]+")
_SPACED_SLASH = re.compile(r"\s*/\s*")
LONGEST_PLACEHOLDER = 20

_MARKUP = re.compile(
    r"""<[a-z/!?%] | \]\( | ``` | \{\{ | \}\} | \$\{ | \{%
      | \b(?:javascript|vbscript)\s*: | \bdata:[a-z]+/ | ^\[object\ \w+\]$""",
    re.IGNORECASE | re.VERBOSE,
)

# Letters, digits, and signs of amounts and enumerations; no end of a sentence, no colon, quote or bracket of a text.
_NAME = re.compile(r"(?:[\w &/+,'()#%$€£<>≤≥~–-]|\.(?=\w))+")
_LETTERS = re.compile(r"[^\W\d_]+")

_accepted: dict[str, str] = {}
"""Normal forms of accepted words by their original text. Rejected words, which may be personal, are not kept."""


def is_invisible(char: str) -> bool:
    """Returns whether words are kept without this character; white space is not invisible."""
    return not (char.isprintable() or char.isspace()) or bool(_FILLERS.match(char))


def visible_text(text: str) -> str | None:
    """Returns the text in NFC without invisible characters. White space is unchanged.

    Returns:
        None if the text cannot be written as UTF-8 or is far longer than a word.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = _FILLERS.sub("", text)
    if not shown.isprintable():
        shown = "".join(char for char in shown if char.isprintable() or char.isspace())
    if len(shown) > LONGEST_DECOMPOSED or any(map(_is_surrogate, text)):
        return None
    return unicodedata.normalize("NFC", shown)


def normal_form(text: str) -> str | None:
    """Returns the text as words are compared, counted and shown: `visible`, stripped, with single spaces.

    Returns:
        None if the text cannot be written as UTF-8 or is far longer than a word.
    """
    shown = visible_text(" ".join(text.split()))
    return None if shown is None else " ".join(shown.split())


def is_placeholder(word: str) -> bool:
    """Returns whether a word in its normal form is a placeholder for no value, such as `N/A`, `(not set)` or `-`."""
    if len(word) > LONGEST_PLACEHOLDER:
        return False
    text = _SPACED_SLASH.sub("/", unicodedata.normalize("NFKC", word).casefold())
    if text.removeprefix("#").translate(_JOINED) in PLACEHOLDERS or _DASHES.fullmatch(text):
        return True
    found = _BRACKETS.fullmatch(text.translate(_JOINED))
    return found is not None and (found[1] in PLACEHOLDERS_IN_BRACKETS or bool(_DASHES.fullmatch(found[1])))


def is_name(word: str, max_words: int) -> bool:
    """Returns whether a text can only be a name: at most `max_words` words and no sign that belongs to a sentence."""
    return bool(_NAME.fullmatch(word)) and len(_LETTERS.findall(word)) <= max_words


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that the rules name for a trait.

    Attributes:
        named: These words are usable even if they look like a placeholder or markup.
        is_closed: Whether only the named words are usable.
    """

    named: frozenset[str] = frozenset()
    is_closed: bool = False

    def is_missing(self, value: object) -> bool:
        """Returns whether a category is missing: absent, blank or a placeholder that the rules do not name."""
        if value is None:
            return True
        if not isinstance(value, str):
            return False
        word = normal_form(value)
        return word is not None and word not in self.named and (not word or is_placeholder(word))

    def parse(self, value: str) -> str | None:
        """Returns the normal form of a word; None if it is missing or not usable.

        A usable word has at most `WORD_LENGTH` characters and is neither a placeholder nor markup nor personal, see
        `is_personal`.
        """
        if not self.is_closed and (word := _accepted.get(value)) is not None:
            return word
        word = normal_form(value)
        if word is None or (self.is_closed and word not in self.named):
            return None
        if word in self.named:
            return word
        if not word or len(word) > WORD_LENGTH or is_placeholder(word) or _MARKUP.search(word) or _is_personal(word):
            return None
        # Most words are repeated. A very long one would use the memory of many.
        if len(value) <= _CACHED_LENGTH:
            if len(_accepted) >= _CACHED:
                _accepted.clear()
            _accepted[value] = word
        return word


ANY_WORD = Vocabulary()
"""The vocabulary of a trait without named words."""


def _is_personal(word: str) -> bool:
    if word.isascii():
        return is_personal(word)
    # NFKC recognises e-mail addresses in full-width characters.
    return is_personal(word) or is_personal(unicodedata.normalize("NFKC", word))


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"
