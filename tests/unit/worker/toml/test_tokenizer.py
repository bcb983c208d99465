"""Lines of everything in a TOML text."""

from __future__ import annotations

import tomllib

from worker.toml.tokenizer import line_numbers, line_of

EVERYTHING = '''\
a = 1          # [[not.a.table]]
"b c".d = "x = [1, # no \\" comment"
e = """
[[clusters]]
f = 1
"""
g = [1, [2,
  3], { h = 1, i = [
  4] },
]

[t]
u = { v.w = 'it"s', x = 1.5e3 }

[t.y.v]
z = 2025-01-01T00:00:00.5Z
[[l]]
m = \'\'\'two
lines\'\'\'\'
[l.n]
o = true
[[l.p]]
[[l.p]]
q = 1
[[l]]
m = 2'''


def test_everything_has_its_line() -> None:
    tomllib.loads(EVERYTHING)
    assert line_numbers(EVERYTHING) == {
        ("a",): 1,
        ("b c",): 2,
        ("b c", "d"): 2,
        ("e",): 3,
        ("g",): 7,
        ("g", 0): 7,
        ("g", 1): 7,
        ("g", 1, 0): 7,
        ("g", 1, 1): 8,
        ("g", 2): 8,
        ("g", 2, "h"): 8,
        ("g", 2, "i"): 8,
        ("g", 2, "i", 0): 9,
        ("t",): 12,
        ("t", "u"): 13,
        ("t", "u", "v"): 13,
        ("t", "u", "v", "w"): 13,
        ("t", "u", "x"): 13,
        ("t", "y"): 15,
        ("t", "y", "v"): 15,
        ("t", "y", "v", "z"): 16,
        ("l",): 17,
        ("l", 0): 17,
        ("l", 0, "m"): 18,
        ("l", 0, "n"): 20,
        ("l", 0, "n", "o"): 21,
        ("l", 0, "p"): 22,
        ("l", 0, "p", 0): 22,
        ("l", 0, "p", 1): 23,
        ("l", 0, "p", 1, "q"): 24,
        ("l", 1): 25,
        ("l", 1, "m"): 26,
    }


def test_what_is_not_there_has_the_line_of_what_is_around_it() -> None:
    numbers = line_numbers(EVERYTHING)
    assert line_of(("l", 0, "n", "absent", 3), numbers) == 20
    assert line_of(("absent",), numbers) == 1
