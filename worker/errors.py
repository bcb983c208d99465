"""The exceptions of this program, and what the caller does about each.

    PersonasError
    ├── ConfigurationError        a setting or argument of this process is wrong: exit code 2
    │   ├── InvalidRequest        a field of a request has a value that it does not accept
    │   └── StoreUnusable         Redis answers, but lacks something that this program needs: exit code 2
    ├── StoreUnavailable          Redis cannot be reached
    ├── LeaseLost                 another job owns the sync, or it was cancelled: stop and commit nothing
    ├── TransportError            no usable answer came (worker.http.client); the API clients convert it
    │   └── NotPermitted          the request was not sent, because its permission had expired
    ├── PersonaGone               the persona does not exist (worker.mavera.errors)
    ├── PostUncertain             a persona may have been created (worker.mavera.errors)
    └── ApiError                  Segment, Mavera or a file did not do what was asked
        ├── Retry                 transient: repeated with back-off, within the retry budget
        │   └── WaitUntil         repeated after the time that the API named; all workers wait
        ├── ResumableStop         the sync fails; `resume` continues from the checkpoint after the cause is fixed
        │   └── OverBudget        it would cost more credits than it may
        └── Permanent             the sync fails; continuing from the checkpoint cannot help

A message says what happened and where; a hint says what to do. Neither contains a profile's id or a trait's value.
"""

from __future__ import annotations

from worker.secret_masking import mask


class PersonasError(Exception):
    """Base class of the errors that this program raises on purpose. Secrets are masked in its texts.

    Attributes:
        hint: What to do about it, in whole sentences; may be empty.
    """

    def __init__(self, *args: object, hint: str = "") -> None:
        super().__init__(*(mask(part) if isinstance(part, str) else part for part in args))
        self.hint = mask(hint)


class ConfigurationError(PersonasError):
    """A setting or an argument is missing or malformed. The message names it."""


class InvalidRequest(ConfigurationError):
    """A request has a field that is not known, or a value that the field does not accept.

    Attributes:
        problems: For each field, such as `max_profiles`, what it accepts. An empty name: the fields do not go together.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field} {sentence}".strip() for field, sentence in problems.items()))
        self.problems = problems


class StoreUnusable(ConfigurationError):
    """Redis answers but cannot be used: it is a cluster, lacks a permission or command, or a key has another type."""


class StoreUnavailable(PersonasError):
    """Redis could not be reached within the time allowed.

    Attributes:
        lasting: Whether waiting cannot help, because something else than Redis answers at the address.
    """

    def __init__(self, *args: object, hint: str = "", lasting: bool = False) -> None:
        super().__init__(*args, hint=hint)
        self.lasting = lasting


class LeaseLost(PersonasError):
    """The job no longer owns its sync, because the sync was cancelled, ended or taken over."""


class ApiError(PersonasError):
    """An API or a file did not do what was asked.

    Attributes:
        code: Short machine-readable name, shown as `error.code` of a failed sync.
        request_id: The API's id of the request, for its support; None if it sent none.
    """

    resumable = True

    def __init__(self, code: str, message: str, *, hint: str = "", request_id: str | None = None) -> None:
        self.code = code
        self.request_id = mask(request_id) if request_id else request_id
        super().__init__(f"{message} (Request-Id {request_id})" if request_id else message, hint=hint)


class Retry(ApiError):
    """A transient failure: the same request may succeed later."""


class WaitUntil(Retry):
    """The API asks the client to wait.

    Attributes:
        wait_s: Seconds that it named; None if it named none.
    """

    def __init__(self, code: str, message: str, *, wait_s: float | None, request_id: str | None = None) -> None:
        super().__init__(code, message, request_id=request_id)
        self.wait_s = wait_s


class ResumableStop(ApiError):
    """Stops the sync until the cause is fixed, such as a wrong key, missing credits or an outage."""


class OverBudget(ResumableStop):
    """The sync would cost more credits than it may.

    Attributes:
        needed_credits: What the sync would cost in all, what it has paid and what is in doubt included.
        credit_limit: What it may cost: the lower of the request's budget and the worker's.
    """

    def __init__(self, message: str, *, needed_credits: int, credit_limit: int, hint: str = "") -> None:
        super().__init__("over_budget", message, hint=hint)
        self.needed_credits = needed_credits
        self.credit_limit = credit_limit


class Permanent(ApiError):
    """Stops the sync. It cannot be resumed, because what was asked for does not exist or is not valid."""

    resumable = False
