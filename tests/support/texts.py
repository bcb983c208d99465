"""Texts of hostile profiles: nearly words, placeholders, personal data, markup and lists."""

from __future__ import annotations

import json
import random


def _split(*texts: str) -> list[str]:
    return [one for text in texts for one in text.split("|")]


_WORDS = _split(
    "a|b|Café|Cafe\u0301|Real Estate|SaaS|unknown|Unknown|N/A|n / a|n/a.|n.d.|na|NA|not set|not_set|not-set",
    "no  data|none|null",
    "\\N|undefined|mißing|missing|MIẞING|ŉone|ｎｕｌｌ|undeﬁned|Straße|empty|blank|-|--|—|−|…|.|?|_|/|#|{{x}}|{{",
    "}}|${|{%|](|```",
    "<b>|</|<!|<?|<3|javascript:|JavaScript :|javaſcript:|data:text/html|DATA:a/|vbſcrİpt:|[object Object]",
    "[object Ñ_1]",
    "ada@example.com|ａ＠ｂ．ｃ|a@b.c|@|mailto:x1|tel:|http://|x://|www.a|www.é|WWW.1|0049 151 23|+49 (151) 234-56",
    "00123456",
    "1234567|123456|１２３４５６７|deadbeef1234|DEADBEEF0123|00000000-0000-4000-8000-000000000000|aB1cD2eF3gH4|abcdefghijk1",
    "a1b2c3d4e5f6|AAAAbbbb1111|192.168.0.1|a:b:c:|fe80:0:0:1|usr_1|use_é1|per_a|user123|ID#1234|acct-12",
    "cust:999|anon_٣1",
    "1,001-5,000|0-10|1-10|11-50|11–50|$1,000|€500+|<100|≥ 1.000|~5|1900-2099|1999 - 2005|1,000,000|10000000",
    "12345000|1+ |0 +",
    "5-3|2-10|1,002-5,000|1,001-5,005|1,011-5,009|5,001-1,000|100,001-99,000|1,000-999,999",
    "0-1,000,000|1-1,000,009|aBcDeFgHiJkLm 1",
    "1-1000|0-99999|2 - 20000|100-10000|101-10100|2024|Q3 2024|v1.2|3.5|50%|1/2|12:30|12:30:45:|a@b|a.b|½",
    "²|①|Ⅷ|一|٣٣٣٣٣٣٣",
)
_SIGNS = list(
    "aAbBzZéÉßſİıK\u212aǅñ日本語한글あ٣१09 .,:;-–—−_/\\+*=~^'\"`´<>{}[]()$€£%&@#|!?¿§©™✓🎉👍🏽"
    "\t\n\v\f\r\x01\x1b\x1c\x1f\x7f\x85\x9b\xa0\xad\u0300\u0301\u0327\u0345\u034f\u05b0\u064b\u1100\u1161\u11a8\u115f"
    "\u1680\u180e\u2000\u2009\u200b\u200d\u200f\u2010\u2011\u2012\u2015\u2028\u2029\u202e\u202f\u205f\u2060\u20e3\u2126"
    "\u212b\u2212\u2260\u2264\u2265\u2800\u3000\u3099\u3164\ufb01\ufdfa\ufe0f\ufeff\uff01\uff21\uff3b\uffa0\ufffd\uffff"
    "\U0001d400\U0001d7ce\U0001f1e9\U000e0041\U000f0000\U0010ffff"
)
_BRACKETS = _split('()|[]|<>|{}|""|\'\'|``|((|)|"|([|)]')

DIRTY_TEXTS = [
    *(
        "",
        " ",
        "\u200b",
        "\u3164",
        "a" * 80,
        "a" * 81,
        "é" * 80,
        "é" * 401,
        "e\u0301" * 80,
        "a" + " " * 500 + "b",
        "a\u0301" * 201,
    ),
    *(
        " " * 1000,
        "\u1100\u1161\u11a8" * 80,
        "1" * 80,
        "9" * 79 + "+",
        "ﷺ" * 40,
        "1,000" + ",000" * 15,
        "aaaaaa",
        "9" * 61,
        "ab" * 30 + "a",
    ),
    *_WORDS,
    *(f"{left}{word}{right}" for word in _WORDS for left, right in (("(", ")"), ('"', "'"), ("[ ", " ]"), ("é", ""))),
]

DIRTY_LISTS = _split(
    '[]| [] |[ ]|[,]|["a","b"]|["a", "b"]|["a","a",null]|[null]|[1]|[-0]|[01]|[1.]|[1e5]|[1E+5]|[1e-999]',
    "[1e999]|[1e99]|[-]",
    '[true,false]|[tru]|["a" "b"]|["a""b"]|["a",]|[1 2]|[12]]|[[12]|[tr[]ue]|[|]|["]|[\']|[a]|["\\x"]',
    '["\\/\\b\\f\\n\\r\\t"]',
    '["\\u0000"]|["a\\u0000b"]|["\\\\u0000"]|["\\\\\\u0000"]|["\\u0000\\u0000"]|["\\ud800"]|["\\udc00"]',
    '["\\ud83c\\udf89"]',
    '["\\ud83cx"]|["\\u00e9"]|["\\uD83C\\uDF89"]|["\x7f"]|["\t"]|["\n"]|[\n"a"\t,\r"b" ]|\xa0["a"]|\x0c["a"]',
    '\ufeff["a"]|["a"]\xa0',
    '[[1,[2]]]|[[],{}]|[{"a":1,"b":[2]}]|[{"a" : "b"} , "c"]|[{a:1}]|[{"a":}]|{"a":["b"]}|"a"|[NaN]',
    '["N/A","x@y.z"," a "]',
    '["none"]x|["\u2028"]|[\x01]|["\x01"]|[none]|[ n/a ]|["Café","Cafe\\u0301"]|["b","a","b","A"]|["\\"a\\""]',
    '["\\\\"]|["[1]"]',
)


def dirty_text(rng: random.Random) -> str:
    """Returns a text of words and signs, in brackets or in full width at times."""
    parts = [rng.choice(_WORDS if rng.random() < 0.4 else _SIGNS) for _ in range(rng.choice((1, 1, 2, 3, 5, 9)))]
    if rng.random() < 0.2:
        parts = [rng.choice("abcdefABCDEF0123456789-") for _ in range(rng.randrange(8, 24))]
    if rng.random() < 0.15:
        parts = [rng.choice("0123456789,.-–+ $<(") for _ in range(rng.randrange(3, 14))]
    if rng.random() < 0.3:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(_SIGNS) * rng.choice((1, 1, 2, 6)))
    text = rng.choice(("", "", "", " ")).join(parts)
    if rng.random() < 0.2:
        brackets = rng.choice(_BRACKETS)
        gap = rng.choice(("", "", " ", "\xa0", "\u200b"))
        text = f"{brackets[0]}{gap}{text}{gap}{brackets[-1]}"
    if rng.random() < 0.1:
        text = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)
    if rng.random() < 0.3:
        text = text.swapcase()
    return text


def dirty_list(rng: random.Random) -> str:
    """Returns the text of a JSON list, which may be broken."""
    members = [_member(rng, 0) for _ in range(rng.choice((0, 1, 2, 3, 5)))]
    text = json.dumps(
        members, ensure_ascii=rng.random() < 0.5, separators=rng.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:")))
    )
    if rng.random() < 0.3:
        place = rng.randrange(len(text) + 1)
        text = (
            text[:place]
            + rng.choice((*'"[]{},:\\ 0-1eu\x01\t\xa0', "\\u0000", "\\ud83c", "null", ""))
            + text[place + rng.randrange(2) :]
        )
    return text


def _member(rng: random.Random, depth: int) -> object:
    kind = rng.random()
    if kind < 0.8:
        return dirty_text(rng)
    if kind < 0.95 or depth == 2:
        return rng.choice((None, None, True, False, 0, -1.5, 1e22, 1e-7, 123456789012345678901234567890))
    if kind < 0.98:
        return [_member(rng, depth + 1) for _ in range(rng.randrange(3))]
    return {dirty_text(rng): _member(rng, depth + 1) for _ in range(rng.randrange(3))}
