"""Rules as a TOML file: from its text to `Rules`, or to every mistake with line, field and fix. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from worker.clusters.rules.condition import Condition
from worker.clusters.rules.partial_check import faults_of_valid_parts
from worker.clusters.rules.rules import Cluster, Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.rules.validation import Fault, abbreviate
from worker.toml.reader import MalformedToml, read_toml, similar_name
from worker.toml.tokenizer import Path, line_numbers, line_of

MAX_TEXT = 256 * 1024
"""Most characters of a file; far more than rules of the largest size need."""

MOST_MISTAKES = 100
LONGEST_FIELD, LONGEST_SENTENCE = 200, 2000
"""Limits of a report about a file that has little in common with rules. Lengths in characters."""

_SENTENCES = {
    "bool_type": "write true or false",
    "float_type": "write a number, without quotes",
    "finite_number": "write a finite number",
    "invalid-json-value": "write text, a number, true, false, a list or a table",
    "model_type": "write a table in { }",
    "model_attributes_type": "write a table in { }",
    "dict_type": "write a table in { }",
    "mapping_type": "write a table in { }",
    "string_type": "write text in quotes",
    "string_too_short": "it is empty: write something, or leave it out",
    "too_short": "it is empty: write at least one",
    "tuple_type": "write a list in [ ]",
}
"""Messages by type of pydantic error, in terms of a file."""

_FIXES = {
    "Invalid statement": "a line is name = value, [[traits]] or [[clusters]], or a # comment",
    "Cannot overwrite a value": "it is there already: leave one out, or begin each trait with [[traits]] and each "
    "cluster with [[clusters]]",
    "Cannot declare": "it is there already: begin each trait with [[traits]], each cluster with [[clusters]]",
}
"""Fixes by the beginning of the parser's message, where those of any TOML file do not serve."""

_SYNONYMS = {
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "!=": "not",
    "and": "all",
    "or": "any",
    "default": "missing",
    "int": "number",
    "integer": "number",
    "float": "number",
    "bool": "boolean",
    "string": "category",
    "str": "category",
    "text": "category",
    "array": "list",
    "datetime": "date",
    "timestamp": "date",
}
"""Terms of other languages and the term of a file."""


_BEGIN = {
    "traits": ". Begin each trait with a line [[traits]]",
    "clusters": ". Begin each cluster with a line [[clusters]]",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a file.

    Attributes:
        line: Number of the line, from 1.
        field: The field, such as `cluster growth, when.all.gt`; may be empty.
    """

    line: int
    field: str
    sentence: str

    def __str__(self) -> str:
        return f"line {self.line}: {f'{self.field}: ' if self.field else ''}{self.sentence}"


class MalformedRules(ValueError):
    """A text that is not valid rules. `mistakes` are all that were found, in order of their lines."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        super().__init__("\n".join(map(str, self.mistakes)))


def parse_rules(text: str) -> Rules:
    """Parses the rules of a TOML text. Raises MalformedRules."""
    try:
        data = read_toml(text, "rules", max_length=MAX_TEXT, fixes=_FIXES)
    except MalformedToml as error:
        said = f"this is not TOML: {error.parser_message}" if error.parser_message else error.sentence
        sentence = f"{said}; {error.fix}" if error.fix else said
        key = "" if len(text) > MAX_TEXT else _key_in(text, error.line)
        raise MalformedRules([Mistake(error.line, key, sentence)]) from None
    try:
        return Rules.model_validate(data)
    except ValidationError as error:
        raise MalformedRules(_mistakes(error, data, text)) from None


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of such a file, for editors."""
    document = Rules.model_json_schema(schema_generator=_TomlSchema)
    return {"$schema": GenerateJsonSchema.schema_dialect, **document, "title": "Clusters of segment-personas"}


class _TomlSchema(GenerateJsonSchema):
    """TOML has no null: a field is present with a value or absent."""

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if (key, value) != ("default", None)}


def _key_in(text: str, line: int) -> str:
    """Returns the key at the beginning of a line; empty if there is none."""
    found = re.match(r"[\s\ufeff]*([\w.-]{1,200})\s*=", text.split("\n")[line - 1])
    return found[1] if found else ""


def _mistakes(error: ValidationError, data: Mapping[str, Any], text: str) -> list[Mistake]:
    """Returns the mistakes of parsed data in order of lines, at most `MOST_MISTAKES` and the number of the others."""
    numbers = line_numbers(text)
    errors = _independent_errors(error)
    known = {(one["loc"], one["msg"]) for one in errors}
    faults = [fault for fault in faults_of_valid_parts(data) if (fault.path, fault.sentence) not in known]
    found: list[tuple[int, ErrorDetails | Fault]] = [(line_of(one["loc"], numbers), one) for one in errors]
    found += [(line_of(fault.path, numbers), fault) for fault in faults]
    found.sort(key=lambda one: one[0])
    mistakes = [_mistake(line, one, data) for line, one in found[:MOST_MISTAKES]]
    if rest := found[MOST_MISTAKES:]:
        mistakes.append(Mistake(rest[0][0], "", f"{len(rest):,} more mistakes from here on"))
    return mistakes


def _independent_errors(error: ValidationError) -> list[ErrorDetails]:
    """Returns the errors that do not merely follow from others."""
    return [
        one
        for one in error.errors(include_url=False)
        if one["type"] != "default_factory_not_called" and not (one["type"] == "too_short" and one["input"])
    ]


def _mistake(line: int, found: ErrorDetails | Fault, data: Mapping[str, Any]) -> Mistake:
    path, sentence = (found.path, found.sentence) if isinstance(found, Fault) else (found["loc"], _sentence(found))
    return Mistake(line, abbreviate(_field(path, data), LONGEST_FIELD), abbreviate(sentence, LONGEST_SENTENCE))


def _sentence(error: ErrorDetails) -> str:
    kind, path, given = error["type"], error["loc"], error["input"]
    name = str(path[-1]) if path else ""
    model = _model(path[:-1])
    if kind == "missing":
        return f"it is missing. {_description(model, name)}{_BEGIN.get(name, '')}"
    if kind == "extra_forbidden":
        names = [field.alias or key for key, field in model.model_fields.items()]
        if model is Condition and isinstance(given, dict) and given and given.keys() <= _COMPARISONS:
            return f'this field does not exist; name the trait as a value: {{ trait = "{name}", {min(given)} = … }}'
        return f"this field does not exist; {_suggest_name(name, names) or 'the fields are ' + ', '.join(names)}"
    if kind == "literal_error":
        choices = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        meant = _suggest_name(str(given), choices)
        return f"it is one of {', '.join(choices)}" + (f"; {meant}" if meant else "")
    if kind == "tuple_type" and name in _BEGIN:
        return _BEGIN[name].strip(". ")
    if kind == "float_type" and isinstance(given, date):
        return "write an age in days, as a number: a date is compared by how long ago it is"
    if kind in ("greater_than", "less_than_equal"):
        bound = "greater than {gt:g}" if kind == "greater_than" else "of at most {le:,g}"
        return f"write a number {bound.format(**error['ctx'])}. {_description(model, name)}"
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in ("string_pattern_mismatch", "string_too_long", "too_long"):
        said = error["msg"].removeprefix("String ").removeprefix("Tuple ")
        shown = f'"{abbreviate(str(given))}" is not possible' if kind == "string_pattern_mismatch" else f"it {said}"
        return f"{shown}. {_description(model, name)}"
    return error["msg"]


_COMPARISONS = {"gt", "gte", "lt", "lte", "eq", "in", "missing"}


def _suggest_name(name: str, known: list[str]) -> str:
    """Returns a question with the known name that was probably meant; empty if there is none."""
    meant = similar_name(name, known, _SYNONYMS)
    return f"did you mean {meant}?" if meant else ""


def _model(path: Path) -> type[BaseModel]:
    """Returns the model of the table at `path`."""
    match path:
        case ():
            return Rules
        case ("traits", _):
            return Trait
        case ("clusters", _):
            return Cluster
    return Condition


def _description(model: type[BaseModel], name: str) -> str:
    field = model.model_fields.get(name)
    return field.description or "" if field else ""


def _field(path: Path, data: Mapping[str, Any]) -> str:
    """Describes a path: traits and clusters by name, without indices, because the line identifies them."""
    words = [str(part) for part in path if isinstance(part, str)]
    match path:
        case ("traits" | "clusters" as kind, int(index), *_):
            entry = data[kind][index]
            name = entry.get("name" if kind == "traits" else "key") if isinstance(entry, dict) else None
            owner = f"{kind[:-1]} {name if isinstance(name, str) else index + 1}"
            return ", ".join(filter(None, [owner, ".".join(words[1:])]))
    return ".".join(words)
