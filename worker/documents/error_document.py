"""The JSON document of an error, which a command prints with `--json` if it fails."""

from __future__ import annotations

from worker.errors import ConfigurationError, StoreUnavailable


def error_document(error: Exception, hint: str = "") -> dict[str, object]:
    """Returns the JSON of an error that ended a command.

    Args:
        error: The error, which gives the code and the message.
        hint: A command that leads on, if there is one.
    """
    shown: dict[str, object] = {"code": error_code(error), "message": str(error)}
    return {"error": {**shown, "hint": hint} if hint else shown}


def error_code(error: Exception) -> str:
    """Returns a short machine-readable name of the error."""
    if code := getattr(error, "code", ""):
        return str(code)
    if isinstance(error, StoreUnavailable):
        return "redis_unavailable"
    return "configuration" if isinstance(error, ConfigurationError) else "error"
