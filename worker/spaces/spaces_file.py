"""The spaces file: from its text to what each space and account uses, or to every mistake with line, field and fix.

    [spaces.spa_123]
    token_file = "/run/secrets/segment_spa_123"
    account = "emea"

    [accounts.emea]
    api_key_file = "/run/secrets/mavera_emea"

A name of a file is relative to the directory of the spaces file. Files are read through a function, so this is pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import SecretStr, ValidationError

from worker.secret_masking import keep_secret
from worker.settings.value_types import is_unprotected
from worker.spaces.entries import DEFAULT, SECRETS, AccountEntry, SpaceEntry, SpacesDocument
from worker.spaces.mistakes import (
    MalformedSpaces,
    Mistake,
    field_name,
    model_mistakes,
    no_such_account,
    parse_document,
)
from worker.toml.tokenizer import Path, line_numbers, line_of
from worker.warehouse_url import WarehouseUrl

MAX_TEXT = 4 * 1024 * 1024
"""Most characters of a file: room for ten thousand spaces."""

_SPACE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
_WORD = re.compile(r"[!-~]+")

Table = TypeVar("Table", SpaceEntry, AccountEntry)


@dataclass(frozen=True)
class Fallbacks:
    """The values of the environment for fields that a space or account leaves out.

    Attributes:
        token: Whether `SEGMENT_TOKEN` is set.
        api_key: `MAVERA_API_KEY`; empty if it is not set.
    """

    token: bool = False
    api_key: str = ""


@dataclass(frozen=True)
class SpacesFile:
    """A spaces file whose secrets have been read. Entries have no `…_file`: its content is the secret.

    Attributes:
        default: For spaces without a table.
        spaces: Space id → what its table says.
        accounts: Name → what its table says. The account `default` has a table only if the file has one.
        unreadable: Files of secrets that could not be read, if that was permitted.
    """

    default: SpaceEntry
    spaces: Mapping[str, SpaceEntry]
    accounts: Mapping[str, AccountEntry]
    unreadable: tuple[Mistake, ...] = ()

    @property
    def summary(self) -> str:
        """The number of spaces and accounts, in words."""
        return ", ".join(
            f"{len(tables)} {noun}{'' if len(tables) == 1 else 's'}"
            for noun, tables in (("space", self.spaces), ("account", self.accounts))
        )

    @property
    def unprotected_warning(self) -> str:
        """A warning about base URLs that send a secret to another machine without TLS; empty if none does."""
        entries: dict[str, SpaceEntry | AccountEntry] = {"default": self.default}
        entries |= {f"spaces.{name}": entry for name, entry in self.spaces.items()}
        entries |= {f"accounts.{name}": entry for name, entry in self.accounts.items()}
        names = [f"{name}.base_url" for name, one in entries.items() if one.base_url and is_unprotected(one.base_url)]
        sentence = "http:// to another machine sends the secret unencrypted; use https://"
        return f"{', '.join(names)}: {sentence}" if names else ""

    def account_of(self, space_id: str) -> str:
        """Returns the name of the account of a space."""
        space = self.spaces.get(space_id)
        return (space and space.account) or self.default.account or DEFAULT


def parse_spaces(
    text: str,
    read_secret: Callable[[str], str],
    fallbacks: Fallbacks,
    *,
    needs_secrets: bool = True,
) -> SpacesFile:
    """Reads a spaces file and its secrets. Registers the secrets, so that they are masked.

    Args:
        text: Of the file.
        read_secret: Returns the secret in a file, by its name as the spaces file has it. Raises ValueError.
        fallbacks: What the environment has.
        needs_secrets: Whether a secret that is missing or cannot be read is a mistake. A client needs none.

    Raises:
        MalformedSpaces: The file cannot be used.
    """
    document, lines = _read_document(text)
    reader = _SecretReader(read_secret, lines)
    default = reader.resolve(document.default, ("default",))
    spaces = {name: reader.resolve(entry, ("spaces", name)) for name, entry in document.spaces.items()}
    accounts = {name: reader.resolve(entry, ("accounts", name)) for name, entry in document.accounts.items()}
    found = SpacesFile(default, spaces, accounts, tuple(reader.unreadable))
    mistakes = [*reader.mistakes, *_reference_mistakes(found, lines)]
    if needs_secrets:
        mistakes += [*reader.unreadable, *_missing_secrets(found, lines, fallbacks, reader.failed)]
    if mistakes:
        raise MalformedSpaces(mistakes)
    return found


def _read_document(text: str) -> tuple[SpacesDocument, Mapping[Path, int]]:
    data, lines = parse_document(text, MAX_TEXT), line_numbers(text)
    try:
        return SpacesDocument.model_validate(data), lines
    except ValidationError as error:
        raise MalformedSpaces(model_mistakes(error, lines)) from None


class _SecretReader:
    """Replaces each `…_file` of an entry by the secret in the file.

    Attributes:
        mistakes: What is wrong with the fields.
        unreadable: Files that cannot be read.
        failed: Paths of the secrets in these files.
    """

    def __init__(self, read_secret: Callable[[str], str], lines: Mapping[Path, int]) -> None:
        self._read_secret = read_secret
        self._lines = lines
        self.mistakes: list[Mistake] = []
        self.unreadable: list[Mistake] = []
        self.failed: set[Path] = set()

    def resolve(self, entry: Table, path: Path) -> Table:
        """Returns the entry with its secrets, and without names of files."""
        changes: dict[str, SecretStr | None] = {}
        for name in SECRETS[type(entry)]:
            secret, file = getattr(entry, name), getattr(entry, f"{name}_file")
            if file is not None:
                changes[f"{name}_file"] = None
                if secret is not None:
                    fix = f"Keep one of them; {name}_file keeps the secret out of this file."
                    self._add((*path, f"{name}_file"), f"{name} and {name}_file are both set", fix)
                elif (text := self._content(file, (*path, f"{name}_file"))) is not None:
                    changes[name] = secret = SecretStr(text)
                else:
                    self.failed.add((*path, name))
            if secret is None:
                continue
            keep_secret(secret.get_secret_value())
            if name == "warehouse_url":
                try:
                    for part in WarehouseUrl.parse(secret.get_secret_value()).secrets:
                        keep_secret(part)
                except ValueError as error:
                    self._add((*path, f"{name}_file"), f"{file}: it {error}", "Write the URL into this file.")
        return entry.model_copy(update=changes)

    def _content(self, file: str, path: Path) -> str | None:
        """Returns the secret in a file; None if it cannot be used, which is noted."""
        try:
            text = self._read_secret(file)
            if not text:
                raise ValueError("the file is empty")
            if not _WORD.fullmatch(text):
                raise ValueError("the file must contain the bare secret: printable ASCII without spaces")
        except ValueError as error:
            sentence = f"{file}: {error}"
            fix = f"Create the file where this program runs, or correct {path[-1]}."
            self.unreadable.append(Mistake(line_of(path, self._lines), field_name(path), sentence, fix))
            return None
        return text

    def _add(self, path: Path, sentence: str, fix: str) -> None:
        self.mistakes.append(Mistake(line_of(path, self._lines), field_name(path), sentence, fix))


def _reference_mistakes(found: SpacesFile, lines: Mapping[Path, int]) -> Sequence[Mistake]:
    """Returns ids that cannot be of a space, accounts that are not in the file, and records with two owners."""
    mistakes = []

    def add(path: Path, sentence: str, fix: str) -> None:
        mistakes.append(Mistake(line_of(path, lines), field_name(path), sentence, fix))

    for name in found.spaces:
        if not _SPACE_ID.fullmatch(name):
            add(("spaces", name), "this is not a valid space id", "Copy it from Segment: spa_…")
    tables: dict[Path, SpaceEntry] = {("default",): found.default}
    tables |= {("spaces", name): entry for name, entry in found.spaces.items()}
    for path, entry in tables.items():
        if entry.account not in {None, DEFAULT, *found.accounts}:
            add((*path, "account"), *no_such_account(entry.account or "", [*found.accounts]))
    owners: dict[str | None, str] = {}
    for name, account in found.accounts.items():
        if account.records or name == DEFAULT:
            first = owners.setdefault(account.base_url, name)
            if first != name:
                fix = 'Leave records = "default" at the one account whose key was MAVERA_API_KEY before.'
                add(("accounts", name), f"{first} has the records of MAVERA_API_KEY, too", fix)
    return mistakes


def _missing_secrets(
    found: SpacesFile, lines: Mapping[Path, int], fallbacks: Fallbacks, failed: set[Path]
) -> Sequence[Mistake]:
    """Returns the spaces without a token or an account, and the accounts without a key or with that of another."""
    mistakes = []

    def add(path: Path, sentence: str, fix: str) -> None:
        mistakes.append(Mistake(line_of(path, lines), field_name(path), sentence, fix))

    has_default_token = found.default.token is not None or ("default", "token") in failed or fallbacks.token
    has_default_account = bool(fallbacks.api_key) or DEFAULT in found.accounts
    for name, space in found.spaces.items():
        if space.token is None and not has_default_token and ("spaces", name, "token") not in failed:
            add(("spaces", name), "the space has no token", "Set token_file here or in [default].")
        if found.account_of(name) == DEFAULT and not has_default_account:
            fix = "Set account here or in [default], or set MAVERA_API_KEY for the account default."
            add(("spaces", name), "the space has no Mavera account", fix)
    keys: dict[str, str] = {}
    for name, account in found.accounts.items():
        key = account.api_key.get_secret_value() if account.api_key else ""
        key = key or (fallbacks.api_key if name == DEFAULT else "")
        if not key:
            if ("accounts", name, "api_key") not in failed:
                add(("accounts", name), "the account has no key", "Set api_key_file.")
        elif (first := keys.setdefault(key, name)) != name:
            fix = f'Use account = "{first}" for its spaces, so that they share one rate and one set of records.'
            add(("accounts", name), f"it has the same key as the account {first}", fix)
    return mistakes
