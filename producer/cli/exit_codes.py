"""The exit codes of every command, and which error ends with which of them.

Imports nothing of the engine before an error has to be judged, so that `--help` stays light.
"""

from __future__ import annotations

DONE = 0
FAILED = 1
WRONG_USE = 2
NOT_AGREED = 3
TRY_LATER = 4
CHANGES = 5
NEEDS_DECISION = 6
INTERRUPTED = 130

_MEANINGS = (
    "0 completed",
    "1 the sync failed; with doctor: a check failed",
    "2 wrong usage or configuration",
    "3 cancelled, or declined at the question",
    "4 try later: Redis is down, the space is busy, or --timeout is over",
    "130 interrupted",
)

EXIT_CODES = "\n\n".join(("Exit codes:", *_MEANINGS))
"""The end of each help text; typer shows each of these paragraphs as a line."""

PREVIEW_EXIT_CODES = (
    f"{EXIT_CODES}\n\nWith --exit-code also:\n\n5 personas would change\n\n6 a guard or the budget stops them"
)


def exit_code_of(error: Exception) -> int:
    """Returns the exit code of a command that ends with this error: 4 if the same command may succeed later, else 2."""
    from worker.errors import Retry, StoreUnavailable

    if isinstance(error, StoreUnavailable):
        return WRONG_USE if error.lasting else TRY_LATER
    return TRY_LATER if isinstance(error, Retry) or getattr(error, "temporary", False) else WRONG_USE
