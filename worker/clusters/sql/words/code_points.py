"""Sets of characters as classes of regular expressions, from the Unicode data of the Python that runs.

Engines classify characters by their locale and by another version of Unicode, so `\\w` and `\\s` have other meanings
there. A class lists ranges of code points; those about which the class need not decide join two ranges into one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import cache

from worker.clusters.parsing.words import is_invisible

_KEPT_KINDS = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sc", "Sm", "Sk"})
# Without surrogates, and planes without any assigned character, which are like the code point before them.
_SCANNED = (*range(1, 0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE2000), 0xFFFFF, 0x10FFFF)
# Latin; Greek, Cyrillic; Hebrew; Arabic; Latin and Greek with accents; kana; Chinese; Korean. The space ends a range.
_BLOCKS = (
    *((0xC0, 0x2AF), (0x370, 0x52F), (0x5D0, 0x5EA), (0x620, 0x6DF)),
    *((0x1E00, 0x1FFF), (0x3041, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)),
)
_SCRIPTS = [code for low, high in _BLOCKS for code in (*range(low, high + 1), ord(" "))]


@cache
def white_space() -> str:
    """Returns the inside of a class of the characters that `str.split` splits at."""
    return _class(str.isspace)


@cache
def invisible() -> str:
    """Returns the inside of a class of what `visible_text` removes; white space may be in it or not."""
    return _class(is_invisible, str.isspace)


@cache
def no_word_character() -> str:
    """Returns the inside of a class of what is neither ASCII nor matches `\\w`; of visible characters only."""
    return _class(
        lambda char: not (char.isascii() or char.isalnum()),
        lambda char: char.isascii() or char.isspace() or is_invisible(char),
    )


@cache
def numeric() -> str:
    """Returns the inside of a class of digits and other numbers."""
    return _class(str.isnumeric)


@cache
def capital() -> str:
    """Returns the inside of a class of capitals and title-case letters; nothing is decided of numbers."""
    return _class(_is_capital, str.isnumeric)


@cache
def small() -> str:
    """Returns the inside of a class of other letters; nothing is decided of numbers and capitals other than `A`."""
    return _class(
        lambda char: char.isalpha() and char != "A",
        lambda char: char != "A" and (char.isnumeric() or _is_capital(char)),
    )


@cache
def kept_in_shapes() -> str:
    """Returns the inside of a class of the signs that a shape keeps, and of `9`, `A`, `a` and the space.

    Nothing is decided of other letters, numbers and white space.
    """
    return _class(
        lambda char: char in "9Aa " or unicodedata.category(char) in _KEPT_KINDS,
        lambda char: char not in "9Aa " and (char.isalpha() or char.isnumeric() or char.isspace()),
    )


@cache
def plain_letters() -> str:
    """Returns the inside of a class, without escapes, of letters of common scripts outside ASCII.

    Words of these letters and ASCII are in NFC and NFKC, and none of them is equal to an ASCII letter in another case.
    """
    return "".join(
        f"{chr(low)}-{chr(high)}" if high > low else chr(low) for low, high in _ranges(_is_plain_letter, codes=_SCRIPTS)
    )


def _is_plain_letter(char: str) -> bool:
    return (
        char.isalpha() and not is_invisible(char) and unicodedata.normalize("NFKC", char) == char and char not in "ıİſ"
    )


def _is_capital(char: str) -> bool:
    return char.isalpha() and (char.isupper() or char.istitle())


def _class(wanted: Callable[[str], bool], undecided: Callable[[str], bool] = lambda _: False) -> str:
    """Returns ranges of `wanted` characters as escapes; ranges continue over `undecided` ones."""
    found = _ranges(wanted, undecided)
    return "".join(_escape(low) + (f"-{_escape(high)}" if high > low else "") for low, high in found)


def _ranges(
    wanted: Callable[[str], bool], undecided: Callable[[str], bool] = lambda _: False, codes: Iterable[int] = _SCANNED
) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    open_range = False
    for code in codes:
        char = chr(code)
        if undecided(char):
            continue
        if not wanted(char):
            open_range = False
        elif open_range:
            ranges[-1] = ranges[-1][0], code
        else:
            ranges.append((code, code))
            open_range = True
    return ranges


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
