"""Checks the ids and keys that commands take as arguments, before a command connects to anything.

Each function returns what it is given, also None, or raises ConfigurationError. Imports nothing at first, so that
`--help` answers at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn, TypeVar

if TYPE_CHECKING:
    from worker.errors import ConfigurationError

Given = TypeVar("Given", str, str | None)

_SYNC_ID = re.compile(r"syn_[A-Za-z0-9_-]{1,64}")
_SCHEDULE_ID = re.compile(r"sch_[A-Za-z0-9_-]{1,64}")
_PERSONA_ID = re.compile(r"[!-~]{1,128}")
_RULES_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_space_id(text: Given) -> Given:
    """Returns the id of a space."""
    from worker.errors import InvalidRequest
    from worker.models.request import SyncRequest

    if text is not None:
        try:
            SyncRequest(space_id=text)
        except InvalidRequest as error:
            _refuse(f"{text!r} is not a valid space id: it {error.problems['space_id']}.")
    return text


def missing_space_error() -> ConfigurationError:
    """Returns the error of a command that needs a space when neither an argument nor the settings name one."""
    from worker.errors import ConfigurationError

    hint = "Name one as an argument, or export SEGMENT_SPACE_ID. `segment-personas init` asks for it and for the keys."
    return ConfigurationError("No space is given.", hint=hint)


def check_sync_id(text: str) -> str:
    """Returns the id of a sync."""
    if not _SYNC_ID.fullmatch(text):
        _refuse(
            f"{text!r} is not a valid sync id: sync ids begin with syn_.",
            hint="To see the newest syncs: `segment-personas list`.",
        )
    return text


def check_schedule_id(text: str) -> str:
    """Returns the id of a schedule."""
    if not _SCHEDULE_ID.fullmatch(text):
        _refuse(
            f"{text!r} is not a valid schedule id: schedule ids begin with sch_.",
            hint="To see every schedule: `segment-personas schedule list`.",
        )
    return text


def check_persona_id(text: str) -> str:
    """Returns the id of a persona at Mavera."""
    if not _PERSONA_ID.fullmatch(text):
        _refuse(f"{text!r} is not a valid persona id.", hint="Copy the id from Mavera: per_…")
    return text


def check_rules_name(text: str) -> str:
    """Returns the name of rules."""
    if not _RULES_NAME.fullmatch(text):
        _refuse(f"--rules: {text!r} is not a valid name of rules.", hint="Use the `name` in the clusters file.")
    return text


def check_idempotency_key(text: Given) -> Given:
    """Returns a key that the HTTP API accepts, too."""
    from worker.models.request import IDEMPOTENCY_KEY

    if text is not None and not IDEMPOTENCY_KEY.fullmatch(text):
        _refuse("--idempotency-key: must be 1 to 255 printable ASCII characters.")
    return text


def _refuse(message: str, hint: str = "") -> NoReturn:
    from worker.errors import ConfigurationError

    raise ConfigurationError(message, hint=hint) from None
