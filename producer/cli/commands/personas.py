"""The `personas` commands: show the records of personas, and change them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from producer.cli.connect import open_pool
from producer.cli.space_settings import settings_of_space
from producer.cli.terminal import NARROW, Screen, stdout
from producer.cli.views.surplus_personas import describe_orphan, describe_twins
from producer.cli.views.time_formats import local_time, short_time, zone
from producer.persona_catalog import ClusterAddress, PersonaCatalog, orphaned_references
from producer.rules_file import cluster_labels, present_rules
from producer.state.pool import directory_of
from worker.clusters import Rules
from worker.documents.persona_document import persona_entry
from worker.errors import PersonasError
from worker.http.client import new_session
from worker.jobs.api_factories import mavera_client, mavera_limiter
from worker.jobs.space_directory import open_spaces
from worker.jobs.store_factories import persona_store
from worker.mavera import CREDITS_PER_PERSONA, find_reference, make_reference
from worker.printable import printable
from worker.settings import Settings
from worker.store import PersonaRecord


async def list_personas(settings: Settings, err: Screen, space_id: str | None, *, json: bool) -> int:
    """Shows which persona belongs to which cluster, and which personas should not be there."""
    found: dict[str, PersonaRecord] = {}
    twins: dict[str, tuple[str, ...]] = {}
    for account in _accounts(settings, space_id):
        async with _open_catalog(account) as catalog:
            records = await catalog.all(space_id)
            twins |= await _twins(catalog, err, records, space_id)
            found |= records
    out, orphans = stdout(), orphaned_references(settings, found)
    if json:
        labels = cluster_labels(settings)
        rows = [persona_entry(name, record, labels) for name, record in found.items()]
        for name, row in zip(found, rows, strict=True):
            row["twins"] = [one for one in twins.get(name, ()) if one != row["persona_id"]]
            row["orphan"] = name in orphans
        out.write_json(rows)
    elif found:
        out.print_views(_table(list(found.values()), out.width))
    else:
        of = f" of {space_id}" if space_id else ""
        err.print_text(f"No persona{of} is recorded for {_account(settings, space_id)}.")
        if settings.redis_url is None:
            err.print_text(f"The state directory is {directory_of(settings).path}.", "dim")
    for name, ids in twins.items():
        record = found.get(name)
        place = f"cluster {record.cluster} of {record.space_id}" if record else name
        err.print_text(f"{describe_twins(ids, place)}.", "yellow")
    for name in orphans:
        record = found[name]
        of_record = (record.persona_id, record.cluster, record.rules, record.space_id, record.collection)
        err.print_text(describe_orphan(*of_record), "yellow")
    return 0


async def _twins(
    catalog: PersonaCatalog, err: Screen, records: Mapping[str, PersonaRecord], space_id: str | None
) -> dict[str, tuple[str, ...]]:
    """Returns the personas with the same reference: of the account, or of the families of a space's records."""
    try:
        twins = await catalog.twins()
    except PersonasError as error:
        err.print_text(f"Cannot check for duplicate personas: {error}", "dim")
        return {}
    if space_id is None:
        return twins
    families = {found.family for name in records if (found := find_reference(name))}
    families.add(make_reference(space_id, "users", "recipe", "").family)
    return {name: ids for name, ids in twins.items() if (found := find_reference(name)) and found.family in families}


async def adopt_persona(settings: Settings, err: Screen, place: ClusterAddress, persona_id: str) -> int:
    """Records a persona that exists at Mavera as the persona of a cluster, and says so if the rules lack the cluster.

    Raises ConfigurationError, and changes nothing, if the rules cannot be read.
    """
    rules = present_rules(settings, place.rules)
    async with _open_catalog(settings_of_space(settings, place.space_id), creates=True) as catalog:
        referred = await catalog.adopt(place, persona_id)
    if rules is None or place.cluster in rules.cluster_keys:
        does = f"The next sync updates it{_and_its_reference(referred)}."
        err.print_text(f"{persona_id} is the persona of {place}. {does}")
        return 0
    err.print_text(f"{persona_id} is the persona of {place}.")
    err.print_text(
        f"{_lacks(rules, place.cluster)} Its clusters are {', '.join(sorted(rules.cluster_keys))}.", "yellow"
    )
    return 0


async def forget_persona(settings: Settings, err: Screen, place: ClusterAddress) -> int:
    """Forgets which persona a cluster has."""
    async with _open_catalog(settings_of_space(settings, place.space_id)) as catalog:
        record = await catalog.forget(place)
    err.print_text(
        f"{record.persona_id} is no longer recorded as the persona of {place}. It still exists at Mavera, and the next "
        "sync finds it by the reference in its description. To give the cluster a new persona, delete this one there."
    )
    return 0


async def rename_persona(settings: Settings, err: Screen, old: ClusterAddress, key: str) -> int:
    """Moves a persona to its cluster's new key, and says so if the rules do not follow: the next sync would buy again.

    Raises ConfigurationError, and changes nothing, if the key is malformed or the rules cannot be read.
    """
    replace(old, cluster=key)  # checks the key before anything is connected to
    rules = present_rules(settings, old.rules)
    async with _open_catalog(settings_of_space(settings, old.space_id)) as catalog:
        referred = await catalog.rename(old, key)
    err.print_text(
        f"The persona of {old} now belongs to {key}. The next sync whose rules have a cluster {key} updates its "
        f"name{_and_its_reference(referred)}."
    )
    for warning in _not_followed(rules, old, key) if rules else ():
        err.print_text(warning, "yellow")
    return 0


def _not_followed(rules: Rules, old: ClusterAddress, key: str) -> Iterator[str]:
    if old.cluster in rules.cluster_keys:
        yield (
            f"The rule set {rules.name} still has a cluster {old.cluster}, which has no persona now: the next sync "
            f"buys one, for {CREDITS_PER_PERSONA} credits. Rename the cluster in the clusters file too."
        )
    if key not in rules.cluster_keys:
        yield _lacks(rules, key)


def _lacks(rules: Rules, key: str) -> str:
    return f"The rule set {rules.name} has no cluster {key}: no sync updates the persona until it has one."


@contextlib.asynccontextmanager
async def _open_catalog(settings: Settings, *, creates: bool = False) -> AsyncIterator[PersonaCatalog]:
    async with open_pool(settings, creates=creates) as pool, new_session() as session:
        mavera = mavera_client(settings, session) if settings.mavera_api_key else None
        yield PersonaCatalog(persona_store(pool, settings), mavera, mavera_limiter(pool, settings))


def _accounts(settings: Settings, space_id: str | None) -> Sequence[Settings]:
    """Returns the settings of a space's account, or of every account."""
    spaces = open_spaces(settings, needs_secrets=False)
    if spaces is None or space_id is not None:
        return [settings_of_space(settings, space_id)]
    return [spaces.settings_of_account(name) for name in spaces.account_names()]


def _account(settings: Settings, space_id: str | None) -> str:
    if settings.spaces_file is not None:
        return "its account of SPACES_FILE" if space_id else "the accounts of SPACES_FILE"
    kind = (
        "the account of MAVERA_API_KEY"
        if settings.mavera_api_key
        else "that of live keys, because MAVERA_API_KEY is not set"
    )
    return f"this account ({settings.mavera_base_url}, {kind})"


def _and_its_reference(referred: bool) -> str:
    return "" if referred else " and writes its reference; until then only Redis knows its cluster"


def _table(records: Sequence[PersonaRecord], width: int) -> Table:
    """Returns a table with a row for each record; with fewer columns where `width` characters are few."""
    wide = width >= NARROW
    table = Table(box=None, pad_edge=False)
    table.add_column("Space", overflow="fold", min_width=5)
    table.add_column("Cluster", overflow="fold", min_width=7)
    table.add_column("Persona", no_wrap=True)  # whole, to be copied
    if wide:
        table.add_column("Profiles", justify="right", no_wrap=True)
    table.add_column("Updated" if wide else f"Updated {zone()}", no_wrap=True)
    if wide:
        table.add_column("Last sync", no_wrap=True)
    table.add_column("Remark", overflow="fold")
    for record in records:
        shown_time = local_time if wide else short_time
        cells: list[RenderableType] = [
            record.space_id,
            Text(printable(record.cluster)),
            Text(printable(record.persona_id)),
            *([f"{record.n:,}"] if wide else []),
            shown_time(record.sent.at) if record.sent else "unknown",
            *([record.sync_id or "none yet"] if wide else []),
            Text(printable(_remark(record))),
        ]
        table.add_row(*cells)
    return table


def _remark(record: PersonaRecord) -> str:
    remarks = [f"rules {record.rules}"] if record.rules != "recipe" else []
    if record.collection != "users":
        remarks.append(record.collection)
    if not record.complete:
        remarks.append("not from the whole space" if record.sent else "adopted")
    return ", ".join(remarks)
