"""A persona and a page of the list of personas, as Mavera's answers describe them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from worker.http.pagination import ListRequest, read_next_page
from worker.mavera.payload import NAME_PREFIX
from worker.mavera.reference import Reference, find_reference

_DEEPEST_ROW = 4
"""How deep a row of the list without a usable id is searched for what may be ours."""


def _none_if_odd(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        return None


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Lenient = WrapValidator(_none_if_odd)
"""Reads an unusable value as None: a persona that was paid for is identified by its id alone."""


class Persona(BaseModel):
    """A persona as Mavera describes it. Unknown fields are kept, to see what it dropped of what was sent.

    Attributes:
        id: Printable ASCII and not only dots, so that it can be part of a path; a number is read as text.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    id: Annotated[str, BeforeValidator(_as_text)] = Field(max_length=200, pattern=r"^[!-~]*[!-\-/-~][!-~]*$")
    name: Annotated[str | None, _Lenient] = None
    description: Annotated[str | None, _Lenient] = None
    credits_charged: Annotated[int | None, Field(ge=0, le=1_000_000), _Lenient] = None
    created_at: Annotated[str | int | float | None, _Lenient] = None
    is_custom: Annotated[bool | None, _Lenient] = None

    @cached_property
    def reference(self) -> Reference | None:
        """Our reference in its description, if it is one of ours."""
        return find_reference(self.description or "")

    @cached_property
    def ends_with_reference(self) -> bool:
        """Whether its description ends with our reference, so that all of it is shown."""
        return self.reference is not None and (self.description or "").rstrip().endswith(str(self.reference))


@dataclass(frozen=True)
class ListPage:
    """One page of Mavera's list.

    Attributes:
        personas: Its rows that are personas; a row without a usable id is left out.
        rows: How many rows it has.
        cursor: Of the next page; None if there is none, or none is known.
        doubt: Why the list as a whole may not be complete; empty if the page gives no reason.
        endless: Whether that is because the list is longer than is read.
    """

    personas: list[Persona]
    rows: int
    cursor: str | None
    doubt: str
    endless: bool = False


def read_list(body: object, request: ListRequest) -> ListPage:
    """Reads a list body. Raises ValueError if it is not one."""
    if not isinstance(body, dict) or "data" not in body or not isinstance(body["data"], list | None):
        raise ValueError("the body is not a list of personas")
    rows = body["data"] or []
    personas, nameless = [], 0
    for row in rows:
        try:
            personas.append(Persona.model_validate(row))
        except ValidationError:
            nameless += isinstance(row, dict) and _may_be_ours(row)
    next_page = read_next_page(body, len(rows), request)
    doubt = next_page.doubt
    if nameless and not doubt:
        doubt = f"{nameless} of its personas that may be ours have no usable id"
    return ListPage(personas, len(rows), next_page.cursor, doubt)


def _may_be_ours(value: object, depth: int = 0) -> bool:
    """Returns whether a text anywhere in a row has a reference of ours, or begins as we name personas."""
    if isinstance(value, str):
        return find_reference(value) is not None or value.strip().casefold().startswith(NAME_PREFIX.casefold())
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < _DEEPEST_ROW and any(_may_be_ours(one, depth + 1) for one in inner)
