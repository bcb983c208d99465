"""The file of bearer tokens: who may use the API, and for what. It is read again when it changes.

    [[tokens]]
    name = "airflow"
    token = "…"
    scopes = ["read", "write"]

Several tokens may be valid at a time, so that one is replaced without an interruption.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from worker.environment import file_identity
from worker.errors import ConfigurationError
from worker.input_values import Expected, describe_problem
from worker.secret_masking import keep_secret
from worker.toml.reader import MalformedToml, read_toml

log = logging.getLogger("segment_personas.api")

Scope = Literal["read", "write"]
MAX_FILE_BYTES = 256 * 1024
SHORTEST = 20


def _token(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if len(text) < SHORTEST or not all("!" <= character <= "~" for character in text):
        raise ValueError(f"must be at least {SHORTEST} printable ASCII characters without spaces")
    return secret


_NAME = Expected("1 to 64 ASCII letters, digits and characters of . _ -", example="airflow")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, _NAME, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    token: Annotated[SecretStr, AfterValidator(_token)]
    scopes: Annotated[frozenset[Scope], Expected('a list of "read", "write" or both'), Field(min_length=1)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    tokens: Annotated[list[_Entry], Expected("at least one table [[tokens]]"), Field(min_length=1)]


@dataclass(frozen=True)
class Token:
    """A token that the file names.

    Attributes:
        name: Who has it.
        scopes: What it allows.
        digest: SHA-256 of the token.
    """

    name: str
    scopes: frozenset[Scope]
    digest: bytes


class TokenFile:
    """The tokens of a file, as the file is at the moment.

    A file that has become unreadable or malformed changes nothing: the tokens that were read last stay valid, and the
    log says what is wrong.

    Raises:
        ConfigurationError: The file cannot be used at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = file_identity(path)
        self._tokens = read_tokens(path)
        self.problem = ""

    def find(self, presented: str) -> Token | None:
        """Returns the token that was presented; None if the file does not have it. Takes as long for either."""
        self._reread()
        digest = hashlib.sha256(presented.encode(errors="surrogateescape")).digest()
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def _reread(self) -> None:
        now = file_identity(self._path)
        if now == self._seen:
            return
        self._seen = now
        try:
            self._tokens = read_tokens(self._path)
        except ConfigurationError as error:
            self.problem = str(error)
            log.warning("%s The tokens that were read last stay valid.", error)
        else:
            self.problem = ""
            log.info("read %d tokens: %s", len(self._tokens), ", ".join(token.name for token in self._tokens))


def read_tokens(path: Path) -> Sequence[Token]:
    """Reads a file of tokens. Raises ConfigurationError, which never names a token."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(f"API_TOKENS_FILE: {path} has more than {MAX_FILE_BYTES:,} bytes.")
        found = _File.model_validate(read_toml(content.decode(), "tokens", max_length=MAX_FILE_BYTES))
    except OSError as error:
        raise ConfigurationError(f"API_TOKENS_FILE: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"API_TOKENS_FILE: {path} is not UTF-8 text.") from None
    except MalformedToml as error:
        fix = f"; {error.fix}" if error.fix else ""
        raise ConfigurationError(f"API_TOKENS_FILE: {path}, line {error.line}: {error.sentence}{fix}.") from None
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"])
        sentence = "is missing" if problem["type"] == "missing" else describe_problem(_File, problem)
        raise ConfigurationError(
            f"API_TOKENS_FILE: {path}: {where} {sentence}.",
            hint='Each token is a table: [[tokens]] with name, token and scopes = ["read", "write"].',
        ) from None
    entries = found.tokens
    names = [entry.name for entry in entries]
    digests = [hashlib.sha256(entry.token.get_secret_value().encode()).digest() for entry in entries]
    for number, entry in enumerate(entries):
        if entry.name in names[:number]:
            raise ConfigurationError(f"API_TOKENS_FILE: {path}: two tokens are named {entry.name}.")
        if digests[number] in digests[:number]:
            raise ConfigurationError(f"API_TOKENS_FILE: {path}: {entry.name} has the same token as another name.")
    for entry in entries:
        keep_secret(entry.token.get_secret_value())
    return [Token(entry.name, entry.scopes, digest) for entry, digest in zip(entries, digests, strict=True)]
