"""How rules say what is wrong with them: every fault at once, each with the place where it stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Path = tuple[str | int, ...]
"""Names of fields and indices in lists, from the outermost in: `("clusters", 0, "when", "gt")`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a place, as a sentence that says what to write instead."""

    path: Path
    sentence: str


def refuse(title: str, faults: Iterable[Fault]) -> None:
    """Raises pydantic's ValidationError with all faults, if there is any.

    Raised in a validator of a part, it becomes part of the error of the whole, its paths with it.
    """
    details = [
        InitErrorDetails(
            type=PydanticCustomError("rules", "{sentence}", {"sentence": fault.sentence}), loc=fault.path, input=None
        )
        for fault in faults
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """A sentence about a name that nothing has, with the one that was probably meant, else all that there are."""
    names = list(known)
    close = get_close_matches(brief(name), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    return f"no {kind} is called {brief(name)}; {hint}"


def brief(text: str, length: int = 80) -> str:
    """The beginning of a text that may be of any length."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
