"""Exports and imports the state of a directory or of a Redis, and explains why that is not possible now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from producer.state.directory import APP, StateBusy
from producer.state.state_file import encode_state
from worker.errors import ConfigurationError
from worker.store import StorePool
from worker.store.transfer.copier import StateIsChanging, read_copy, write_copy
from worker.store.transfer.state_copy import Conflict, Merge, StateCopy

MOST_SHOWN = 10
"""Conflicts that a message names."""


class StateConflict(ConfigurationError):
    """The target has other records than the file. Nothing was imported."""

    code = "state_conflict"


async def export_state(pool: StorePool) -> tuple[StateCopy, str]:
    """Returns a copy of the state, and the text of its file.

    Raises:
        StateBusy: A sync is under way.
        ConfigurationError: There is nothing to export.
    """
    with _explained("exported"):
        copy = await read_copy(pool)
    if not copy:
        raise ConfigurationError("Nothing can be exported: no persona is recorded, and no sync was completed.")
    exported_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return copy, encode_state(copy, program=version(APP), exported_at=exported_at)


async def import_state(pool: StorePool, copy: StateCopy, *, replace: bool, dry_run: bool = False) -> Merge:
    """Writes a copy, and returns what was written, or with `dry_run` would be.

    Raises:
        StateBusy: A sync is under way.
        StateConflict: Records differ, and `replace` is not set.
    """
    with _explained("imported"):
        merged = await write_copy(pool, copy, replace=replace, dry_run=dry_run)
    if merged.conflicts and not replace:
        shown = [f"  {describe_conflict(one)}" for one in merged.conflicts[:MOST_SHOWN]]
        if len(merged.conflicts) > MOST_SHOWN:
            shown.append(f"  and {len(merged.conflicts) - MOST_SHOWN} more")
        raise StateConflict(
            "\n".join([f"{len(merged.conflicts)} personas have other records there. Nothing was imported:", *shown]),
            hint="Records there are probably newer, if the file was imported before. `--replace` takes those of the "
            "file.",
        )
    return merged


def describe_conflict(conflict: Conflict) -> str:
    """Returns one line: the cluster, and both personas."""
    from worker.store import PersonaRecord

    copied = PersonaRecord.decode(conflict.copied.encode())
    try:
        present = PersonaRecord.decode(conflict.present.encode()).persona_id
    except (ValueError, TypeError, KeyError):
        present = "a record of another version"
    if present == copied.persona_id:
        what = f"{present}, but what was last sent for it differs"
    else:
        what = f"{present} there, {copied.persona_id} in the file"
    return f"{copied.space_id}, cluster {copied.cluster}: {what}"


@contextlib.contextmanager
def _explained(moved: str) -> Iterator[None]:
    try:
        yield
    except StateIsChanging as moves:
        ids = ", ".join(moves.sync_ids)
        raise StateBusy(
            f"A sync is under way ({ids}), so nothing was {moved}"
            if ids
            else f"The state has changed meanwhile. Nothing was {moved}",
            hint="Wait until it ends, continue it with `segment-personas resume SYNC_ID`, or stop it with "
            "`segment-personas cancel SYNC_ID`. Then run this command again.",
        ) from None
