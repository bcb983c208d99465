"""The forms in which a page of `inline` can name its next cursor, whichever a test asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

Where = Literal["data.cursor", "cursor", "data.pagination", "pagination"]
What = Literal["object", "string"]
End = Literal["both", "has_more", "missing", "null", "empty", "absent"]

_ENDS: dict[str, tuple[End, ...]] = {
    "object": ("both", "has_more", "missing", "null", "empty", "absent"),
    "string": ("null", "empty", "absent"),
}
CURSOR_FORMS = tuple(
    f"{where}:{what}:{end}" for where in get_args(Where) for what, ends in _ENDS.items() for end in ends
)
"""Every form that a cursor can take."""


@dataclass(frozen=True, slots=True)
class CursorForm:
    """The form of the next cursor in a page, written as `where:what` or `where:what:end`.

    Attributes:
        where: the place of the cursor in the body.
        what: an object `{next, has_more, limit, url}` or the bare cursor.
        end: the sign of the last page. In an object: `both` (`next` null and `has_more` false, the default),
            `has_more` (false, though `next` is a string), `missing`, `null`, `empty` (`next` alone says so,
            and `has_more` is in no page), `absent` (no object). As a string: `absent` (the default), `null`,
            `empty`.
    """

    where: Where
    what: What
    end: End

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the form that `text` describes. Raises ValueError for any other text."""
        full = text if text.count(":") != 1 else text + (":absent" if text.endswith(":string") else ":both")
        if full not in CURSOR_FORMS:
            raise ValueError(f"unknown cursor form {text!r}: use one of {', '.join(CURSOR_FORMS)}")
        where, what, end = full.split(":")
        return cls(cast(Where, where), cast(What, what), cast(End, end))

    def encode_rest(self, cursor: str, more: bool, limit: int, url: str) -> bytes:
        """Returns everything behind the list of profiles, to the end of the body.

        `cursor` is needed on the last page too: `has_more` shows it there.
        """
        value = self._value(cursor, more, limit, url)
        inside, key = self.where.startswith("data."), self.where.removeprefix("data.")
        member = "" if value is None else f',"{key}":{value}'
        return (member + "}}" if inside else "}" + member + "}").encode()

    def _value(self, cursor: str, more: bool, limit: int, url: str) -> str | None:
        if not more and self.end == "absent":
            return None
        if self.what == "string":
            return f'"{cursor}"' if more else "null" if self.end == "null" else '""'
        fields: list[str] = []
        if more or self.end == "has_more":
            fields.append(f'"next":"{cursor}","url":"{url}{cursor}"')
        elif self.end in ("both", "null"):
            fields.append('"next":null')
        elif self.end == "empty":
            fields.append('"next":""')
        if self.end in ("both", "has_more"):
            fields.append(f'"has_more":{"true" if more else "false"}')
        return "{" + ",".join([*fields, f'"limit":{limit}']) + "}"
