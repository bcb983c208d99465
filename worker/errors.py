"""What can go wrong, and what follows from it.

    PersonasError
    ├── ConfigurationError        wrong usage or setting of this process: exit code 2
    │   └── StoreUnusable         Redis answers, but it cannot be used as it is: exit code 2
    ├── StoreUnavailable          Redis cannot be reached
    ├── LeaseLost                 another job has taken the sync over, or it was cancelled: stop, commit nothing
    └── ApiError                  one of the two APIs; each leaf is one of
        ├── Retry                 transient: try again with back-off, within the retry budget
        │   └── WaitUntil         ... after the time that the API named, and everyone with us
        ├── ResumableStop         the sync fails; `resume` goes on from the checkpoint once the cause is mended
        └── Permanent             the sync fails; going on from the checkpoint cannot help

Messages name what happened, where, and what to do. They never carry a profile's id or a value of a trait.
"""

from __future__ import annotations

from worker.secret_masking import mask


class PersonasError(Exception):
    """Base of every error that this program raises on purpose. Its message has none of our secrets in it."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(mask(part) if isinstance(part, str) else part for part in args))


class ConfigurationError(PersonasError):
    """A setting or an argument is missing or malformed; the message names it."""


class StoreUnusable(ConfigurationError):
    """Redis answers, but not as this program needs it: a cluster, a missing right or command, a key of another type."""


class StoreUnavailable(PersonasError):
    """Redis could not be reached in the time allowed."""


class LeaseLost(PersonasError):
    """The job's epoch is over: its sync was cancelled, ended or taken over."""


class ApiError(PersonasError):
    """An API did not do what was asked.

    code: short machine-readable name, shown in `error.code` of a failed sync. request_id: the API's own, for its
    support.
    """

    resumable = True

    def __init__(self, code: str, message: str, *, hint: str = "", request_id: str | None = None) -> None:
        self.code = code
        self.hint = mask(hint)
        self.request_id = mask(request_id) if request_id else request_id
        super().__init__(f"{message} (Request-Id {request_id})" if request_id else message)


class Retry(ApiError):
    """Transient: the same request may succeed a little later."""


class WaitUntil(Retry):
    """The API asks for patience. wait_s: seconds that it named, or None if it named none."""

    def __init__(
        self, code: str, message: str, *, wait_s: float | None = None, hint: str = "", request_id: str | None = None
    ) -> None:
        super().__init__(code, message, hint=hint, request_id=request_id)
        self.wait_s = wait_s


class ResumableStop(ApiError):
    """Stops the sync until someone mends the cause: a key, credits, access, an outage."""


class Permanent(ApiError):
    """Stops the sync for good: what was asked for cannot be had."""

    resumable = False
