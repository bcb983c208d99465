"""The errors of `SyncClient`, and the checks whether a sync can be resumed and whether its plan can be applied."""

from __future__ import annotations

from collections.abc import Sequence

from worker.errors import PersonasError
from worker.models.plan import Plan
from worker.models.sync import Sync, SyncState


class SyncNotFound(PersonasError):
    """No sync of that id is known, or no longer: ended syncs are kept for `RETENTION_DAYS`."""

    code = "sync_not_found"


class SyncConflict(PersonasError):
    """A call does not fit a running sync, or the state of the sync; the message names the difference.

    Attributes:
        code: A short machine-readable name, such as `sync_running`.
        sync: The sync that is under way, if `enqueue` met one.
        temporary: Whether the same call may succeed later.
        hint: What to do about it, in whole sentences; may be empty.
        next_command: Words of the command line to use next, such as `("resume", "syn_1", "--restart")`.
    """

    def __init__(
        self,
        message: str,
        sync: Sync | None = None,
        *,
        code: str = "conflict",
        hint: str = "",
        temporary: bool = False,
        next_command: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.sync = sync
        self.temporary = temporary
        self.next_command = next_command


class SyncFailed(PersonasError):
    """A sync ended without success, and the caller asked for an exception in that case.

    Attributes:
        sync: The sync as it ended.
        code: Why it failed, as `error.code` in JSON; `cancelled` if it was cancelled.
        resumable: Whether `resume` can continue it.
        hint: What to do about it; may be empty.
    """

    def __init__(self, sync: Sync) -> None:
        self.sync = sync
        self.code = sync.error.code if sync.error else str(sync.state)
        self.resumable = bool(sync.error and sync.error.resumable)
        reason = f": {sync.error.message}" if sync.error else ""
        super().__init__(
            f"{sync.id} of {sync.request.space_id} is {sync.status}{reason}", hint=sync.error.hint if sync.error else ""
        )


def require_resumable(sync: Sync, *, restart: bool) -> None:
    """Raises SyncConflict if a sync can never be resumed, or only with `restart`."""
    if sync.state in {SyncState.COMPLETED, SyncState.CANCELLED}:
        raise SyncConflict(
            f"{sync.id} is {sync.status}; only a failed sync can be resumed",
            hint="Start a new sync.",
            code="not_failed",
        )
    if sync.error is not None and sync.failed_in is not None and not sync.error.resumable and not restart:
        raise SyncConflict(
            f"{sync.id} cannot continue where it stopped ({sync.error.code})",
            hint="Resume it with restart, to read from the first page, or start a new sync.",
            code="needs_restart",
            next_command=("resume", sync.id, "--restart"),
        )


def plan_to_apply(sync: Sync, *, allow_partial: bool) -> Plan:
    """Returns the plan of a sync that waits for `apply`. Raises SyncConflict if it has none, or was applied already."""
    if sync.applied_at is not None:
        failed = sync.state is SyncState.FAILED
        raise SyncConflict(
            f"The plan of {sync.id} was applied already, and the sync is {sync.state}",
            hint="Resume it." if failed else "Preview the space again for fresh numbers.",
            code="already_applied",
            next_command=("resume", sync.id) if failed else ("status", sync.id),
        )
    if not sync.request.plan_only:
        raise SyncConflict(f"{sync.id} is not a preview: it creates its personas itself", code="not_a_preview")
    if sync.planned is None:
        raise SyncConflict(
            f"{sync.id} is {sync.state}, and has no plan to apply",
            code="no_plan",
            temporary=not sync.state.is_final,
            next_command=("status", sync.id) if sync.state.is_final else ("status", sync.id, "--follow"),
        )
    if sync.plans_from_part and not allow_partial:
        raise SyncConflict(
            f"The plan of {sync.id} creates personas from a part of the space",
            hint="To allow that, apply it with allow_partial (--allow-partial).",
            code="needs_allow_partial",
            next_command=("apply", sync.id, "--allow-partial"),
        )
    return sync.planned


def space_busy_error(other_id: str) -> SyncConflict:
    """Returns the error that another sync reads the same space."""
    return SyncConflict(
        f"{other_id} reads the same space already",
        hint="Wait for it, or cancel it.",
        code="sync_running",
        temporary=True,
        next_command=("status", other_id, "--follow"),
    )


def sync_running_error(sync: Sync, differences: Sequence[str]) -> SyncConflict:
    """Returns the error that `sync` runs with other options."""
    return SyncConflict(
        f"{sync.id} of {sync.request.space_id} is {sync.status} with other options ({'; '.join(differences)})",
        sync,
        hint="Wait for it, cancel it, or start another beside it with force (--force).",
        code="sync_running",
        temporary=True,
        next_command=("status", sync.id, "--follow"),
    )


def key_used_error(sync: Sync, differences: Sequence[str]) -> SyncConflict:
    """Returns the error that the idempotency key has started `sync` with another request."""
    return SyncConflict(
        f"This idempotency key belongs to {sync.id} ({sync.status}), with other options ({'; '.join(differences)})",
        sync,
        hint="Use another key.",
        code="idempotency_key_used",
        next_command=("status", sync.id),
    )
