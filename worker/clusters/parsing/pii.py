"""Detection of personal data: values that identify one person and must not become a category.

A trait may be configured as a category by mistake, or have other content in a few profiles. E-mail addresses, phone
numbers, URLs and ids are recognised by their form. Names are not, which is one reason why values that few profiles have
are not shown, see `summary`. Personal values are not counted.
"""

import re
from itertools import pairwise

# A value without any of these consists of words, as most categories do.
_SUSPICIOUS = re.compile(r"[0-9@:]|www\.", re.IGNORECASE)

_PERSONAL = re.compile(
    r"""
      [^\s@]@[^\s@]+\.[^\s@]                                        # an e-mail address
    | ^(?:mailto|tel|sms|skype):                                    # another address
    | [a-z][a-z0-9+.-]*:// | \bwww\.[a-z0-9]                        # a URL
    | (?:\+|\b00)[0-9][0-9\s().-]{5,}[0-9]                          # an international phone number
    | [0-9]{7,}                                                     # a number of a person, an order, an account
    | (?<![0-9a-z])(?=[0-9a-f]*[0-9])[0-9a-f]{12,}(?![0-9a-z])      # a hash
    | (?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}      # a UUID
    | ^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$ | (?:[0-9a-f]{1,4}:){3}       # an address of a machine
    | ^(?:use|usr|cus|per|acc|anon)_(?=\w*[0-9])\w+$                # an id with its kind before it
    | ^(?:user|usr|uid|id|customer|cust|member|contact|lead|visitor|anon|person|account|acct)[_:\#-]?[0-9]{3,}$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DIGITS_ONLY = re.compile(r"[0-9\s+().,/-]+")
_DIGITS_OF_A_PHONE = 7

_NUMBER = r"[1-9][0-9]{0,2}(?:[,.][0-9]{3})+|0|[1-9][0-9]*"
_AMOUNT = re.compile(rf"[<>≤≥~$€£]?\s?({_NUMBER})(?:\s?[-–]\s?[$€£]?({_NUMBER}))?\s?\+?")

_RUN = re.compile(r"[A-Za-z0-9]{12,}")
_TURNS = 4


def is_personal(text: str) -> bool:
    """Returns whether a text looks like an e-mail address, a phone number, a URL or an id.

    Amounts such as "1,001-5,000" and words that contain a year or a number do not.
    """
    if not _SUSPICIOUS.search(text) or _is_amount(text):
        return False
    if _PERSONAL.search(text) or any(map(_is_random, _RUN.findall(text))):
        return True
    return bool(_DIGITS_ONLY.fullmatch(text)) and sum(map(str.isdigit, text)) >= _DIGITS_OF_A_PHONE


def _is_amount(text: str) -> bool:
    """Returns whether a text is a round number, or a range of round numbers or years."""
    found = _AMOUNT.fullmatch(text)
    if not found:
        return False
    low, high = (int(re.sub("[,.]", "", number or "0")) for number in found.groups())
    if not high:
        return low < 10 ** (_DIGITS_OF_A_PHONE - 1) or low % 1000 == 0
    if 1900 <= low < high < 2100:
        return True
    return low < high <= 100 * max(low, 10_000 if low <= 1 else 1) and low % 10 <= 1 and high % 10 in (0, 9)


def _is_random(run: str) -> bool:
    """Returns whether letters, capitals and digits alternate, as in a random id."""
    turns = sum(_kind(a) != _kind(b) and not (a.isupper() and b.islower()) for a, b in pairwise(run))
    return turns >= _TURNS and any(map(str.isdigit, run))


def _kind(character: str) -> str:
    return "digit" if character.isdigit() else "capital" if character.isupper() else "letter"
