"""What is wrong with a spaces file: each mistake has its line, its field and its fix. Pure.

No sentence contains a value, because it may be a secret; names of spaces, accounts, fields and files are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from worker.input_values import describe_field, describe_problem
from worker.spaces.entries import AccountEntry, SpaceEntry, SpacesDocument
from worker.toml.reader import MalformedToml, read_toml, similar_name
from worker.toml.tokenizer import Path, line_of

_MOST_SHOWN = 60
"""Characters of a name that are shown."""

_FIXES = {
    "Expected ']'": 'write [spaces.spa_123]; put a name with other characters in quotes: [spaces."a b"]',
}
"""Fixes by the beginning of the parser's message, where those of any TOML file do not serve."""

_OTHER_NAMES = {
    "key": "api_key",
    "key_file": "api_key_file",
    "mavera_api_key": "api_key",
    "mavera_api_key_file": "api_key_file",
    "segment_token": "token",
    "segment_token_file": "token_file",
    "warehouse": "warehouse_url",
    "url": "base_url",
    "gap": "gap_s",
    "space": "spaces",
    "account": "accounts",
    "defaults": "default",
}
"""Names that people may write for a field."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a spaces file.

    Attributes:
        line: Number of the line, from 1.
        field: Such as `spaces.spa_1.rate`; may be empty.
        sentence: What is wrong.
        fix: What to do, as a whole sentence; may be empty.
    """

    line: int
    field: str
    sentence: str
    fix: str = ""

    def __str__(self) -> str:
        return f"line {self.line}: {f'{self.field}: ' if self.field else ''}{self.sentence}. {self.fix}".rstrip()


class MalformedSpaces(ValueError):
    """A spaces file that cannot be used. `mistakes` are all that were found, in order of their lines."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        super().__init__("\n".join(map(str, self.mistakes)))


def parse_document(text: str, max_length: int) -> dict[str, Any]:
    """Reads the text of a spaces file. Raises MalformedSpaces; the parser's own message may quote the text.

    Args:
        text: The text.
        max_length: Most characters.
    """
    try:
        return read_toml(text, "spaces", max_length=max_length, fixes=_FIXES)
    except MalformedToml as error:
        fix = error.fix or ("compare the line with docs/spaces.md" if error.parser_message else "")
        mistake = Mistake(error.line, "", error.sentence, f"{fix[:1].upper()}{fix[1:]}." if fix else "")
        raise MalformedSpaces([mistake]) from None


def model_mistakes(error: ValidationError, lines: Mapping[Path, int]) -> list[Mistake]:
    """Describes what the models do not accept."""
    found = []
    for one in error.errors(include_url=False, include_input=False):
        path = one["loc"][:-1] if one["loc"] and one["loc"][-1] == "[key]" else one["loc"]
        found.append(Mistake(line_of(path, lines), field_name(path), *_sentences(one, path)))
    return found


def field_name(path: Path) -> str:
    """Returns the name of a field as the file writes it; a long part is cut off."""
    return ".".join(str(part)[:_MOST_SHOWN] for part in path)


def suggest(name: str, known: Sequence[str]) -> str:
    """Asks whether a known name was meant; empty if none is similar."""
    meant = similar_name(name, known, _OTHER_NAMES)
    return f"Did you mean {meant}?" if meant else ""


def _sentences(error: ErrorDetails, path: Path) -> tuple[str, str]:
    """Returns what is wrong with the value at a path, and the fix."""
    name = str(path[-1]) if path else ""
    model = _model(path[:-1])
    if error["type"] == "extra_forbidden":
        known = [*model.model_fields]
        kind = {SpaceEntry: "a space", AccountEntry: "an account"}.get(model, "the file")
        fix = suggest(name, known) or f"The fields are {', '.join(known)}."
        if path[:1] == ("spaces",) and fix.startswith("The"):
            fix += f' Put an id with a dot in quotes: [spaces."{field_name(path[1:])}"].'
        return f"{kind} has no such field", fix
    if error["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return "must be a table", f"Begin it with a line [{field_name(path)}]."
    if path[:1] == ("accounts",) and error["loc"][-1:] == ("[key]",):
        return "is not a valid name of an account", "Use at most 40 small letters, digits, - and _."
    if (field := model.model_fields.get(name)) is None:
        return error["msg"], ""
    sentence = describe_problem(model, {**error, "loc": (name,)})
    return sentence, "" if describe_field(field) in sentence else f"{field.description}."


def _model(path: Path) -> type[BaseModel]:
    """Returns the model of the table at a path."""
    match path:
        case ("default",) | ("spaces", _):
            return SpaceEntry
        case ("accounts", _):
            return AccountEntry
    return SpacesDocument


def no_such_account(name: str, known: Sequence[str]) -> tuple[str, str]:
    """Says that an account is not in the file, and what to do."""
    fix = suggest(name, known) or f"Add a table [accounts.{name}] with its key."
    return f"the file has no account {name}", fix


def describe_mistakes(path: Any, mistakes: Sequence[Mistake]) -> str:
    """Returns the text of a `ConfigurationError` about a spaces file."""
    return "\n".join([f"SPACES_FILE: {path} cannot be used:", *(f"  {mistake}" for mistake in mistakes)])
