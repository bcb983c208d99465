"""Validation errors of rules: every fault at once, each with its path."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Path = tuple[str | int, ...]
"""Names of fields and indices in lists, from the outermost in: `("clusters", 0, "when", "gt")`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at a path, as a sentence that says what to write instead."""

    path: Path
    sentence: str


def raise_faults(title: str, faults: Iterable[Fault]) -> None:
    """Raises a pydantic ValidationError with all faults, if there are any.

    Raised in the validator of a part, it becomes part of the error of the whole, including its paths.
    """
    details = [
        InitErrorDetails(
            type=PydanticCustomError("rules", "{sentence}", {"sentence": fault.sentence}), loc=fault.path, input=None
        )
        for fault in faults
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns a sentence about an unknown name with the most similar known name, or with all of them."""
    names = list(known)
    close = get_close_matches(abbreviate(name), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    return f"no {kind} is called {abbreviate(name)}; {hint}"


def abbreviate(text: str, length: int = 80) -> str:
    """Returns the text, or its beginning with an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
