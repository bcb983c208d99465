"""Requests that another program writes into Redis: the document, and the answer. Pure.

docs/other-languages.md describes both; they are a format that other programs rely on.
"""

from __future__ import annotations

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.errors import PersonasError
from worker.models.request import SyncRequest, describe_problems
from worker.models.versions import NewerVersion

INBOX_VERSION = 1
"""Version of the document. One of a newer version is left to newer workers."""

MAX_BYTES = 256 * 1024
"""Largest document that is read."""


class InvalidDocument(PersonasError):
    """A document is not of the format. The message says what is wrong, and never repeats a value.

    Attributes:
        document_id: Its id, to which the answer goes; empty if it has none.
    """

    def __init__(self, message: str, document_id: str = "") -> None:
        super().__init__(message)
        self.document_id = document_id


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    v: Literal[1]
    id: str = Field(pattern=r"^[!-~]{1,128}$")
    request: dict[str, Any]


class InboxDocument(BaseModel):
    """A request for a sync by another program.

    Attributes:
        id: Chosen by that program. The same id never starts a second sync.
        request: What is asked for.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    request: SyncRequest

    @classmethod
    def read(cls, text: bytes) -> InboxDocument:
        """Reads a document.

        Raises:
            InvalidDocument: It is not of the format.
            NewerVersion: It is of a newer one.
        """
        try:
            fields = orjson.loads(text) if len(text) <= MAX_BYTES else None
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise InvalidDocument(f"the document is not a JSON object of at most {MAX_BYTES:,} bytes")
        version, found_id = fields.get("v"), fields.get("id")
        if type(version) is int and version > INBOX_VERSION:
            raise NewerVersion("a request in the inbox", version, INBOX_VERSION)
        try:
            envelope = _Envelope.model_validate(fields)
        except ValidationError as error:
            usable = isinstance(found_id, str) and 0 < len(found_id) <= 128 and found_id.isascii()
            raise InvalidDocument(_problems(_Envelope, error), str(found_id) if usable else "") from None
        try:
            return cls(id=envelope.id, request=SyncRequest.model_validate(envelope.request))
        except ValidationError as error:
            raise InvalidDocument(_problems(SyncRequest, error, "request."), envelope.id) from None


class InboxAnswer(BaseModel):
    """The answer to a document: a sync, or the reason why there is none.

    Attributes:
        v: Version of the format.
        sync_id: The sync; None if the document was refused.
        code: Why it was refused; None if it was not.
        message: The same as a sentence.
    """

    model_config = ConfigDict(frozen=True)

    v: Literal[1] = 1
    sync_id: str | None = None
    code: str | None = None
    message: str | None = None


def _problems(model: type[BaseModel], error: ValidationError, place: str = "") -> str:
    return "; ".join(f"{place}{name} {sentence}" for name, sentence in describe_problems(model, error).items())
