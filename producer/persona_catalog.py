"""Manual changes to the records of which persona belongs to which cluster: list, adopt, forget, rename.

Syncs use the records, which are only in Redis. If Redis is lost, a persona is found by the reference in its description
at Mavera; a change of the reference is therefore written there too, if possible.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from producer.rules_file import present_rules
from worker.clusters.rules.trait import Name
from worker.errors import ApiError, ConfigurationError, PersonasError
from worker.jobs.personas.lookup.orphans import Owner, find_orphans
from worker.jobs.personas.lookup.persona_list import find_twins
from worker.mavera import ListPage, MaveraClient, Persona, Reference, list_pages, make_reference, replace_reference
from worker.models.request import SyncRequest, identity
from worker.settings import Settings
from worker.store import Limiter, PersonaRecord, PersonaStore
from worker.store.ratelimit.limiter import MustWait

LONGEST_WAIT_S = 70.0
"""How long a command waits for its turn in Mavera's rate limit: a whole window of it, and a little."""

_KEY: TypeAdapter[str] = TypeAdapter(Name)


class PersonaRecordError(PersonasError):
    """The records do not allow the change; the message says why."""


@dataclass(frozen=True)
class ClusterAddress:
    """The place of a persona: a cluster of a space.

    Attributes:
        space_id: The space.
        cluster: Key of the cluster.
        collection: `users` or `accounts`.
        rules: Name of the rules.

    Raises:
        ConfigurationError: One of them is malformed.
    """

    space_id: str
    cluster: str
    collection: str = "users"
    rules: str = "recipe"

    def __post_init__(self) -> None:
        try:
            SyncRequest.model_validate({"space_id": self.space_id, "collection": self.collection})
        except ValidationError:
            raise ConfigurationError(f"{self.space_id!r} in {self.collection!r} is not a valid space.") from None
        try:
            _KEY.validate_python(self.cluster)
        except ValidationError:
            raise ConfigurationError(
                f"{self.cluster!r} is not a valid cluster key.",
                hint="Use small letters, digits and _, as in high_value.",
            ) from None

    def __str__(self) -> str:
        return f"{self.cluster} of {self.space_id}"

    @property
    def reference(self) -> Reference:
        """The reference in the persona's description at Mavera, and the key of its record."""
        return make_reference(self.space_id, self.collection, self.rules, self.cluster)

    @property
    def identity(self) -> str:
        """The identity of the syncs that create personas of this space and these rules."""
        return identity(self.space_id, self.collection, self.rules)


class PersonaCatalog:
    """The records of one Mavera account.

    Args:
        store: The records in Redis.
        mavera: Client of Mavera; None without a key.
        limiter: Mavera's rate limit.
    """

    def __init__(self, store: PersonaStore, mavera: MaveraClient | None, limiter: Limiter) -> None:
        self._store = store
        self._mavera = mavera
        self._limiter = limiter

    async def all(self, space_id: str | None = None) -> dict[str, PersonaRecord]:
        """Every record, or those of a space, by reference; in the order of space, collection, rules and cluster."""
        records = await self._store.all_records()
        return {
            name: record
            for name, record in sorted(records.items(), key=lambda item: _order(item[1]))
            if space_id in (None, record.space_id)
        }

    async def twins(self) -> dict[str, tuple[str, ...]]:
        """Returns the references that several personas at Mavera carry, as `find_twins` does; empty without a key.

        Raises:
            PersonaRecordError: Mavera's list cannot be read.
        """
        if self._mavera is None:
            return {}
        return find_twins([persona async for persona in self._listed("")])

    async def adopt(self, place: ClusterAddress, persona_id: str) -> bool:
        """Records an existing persona as that of a cluster, whose next sync updates it. Safe to repeat.

        Returns:
            Whether the reference was written into its description; otherwise the next sync writes it, because the key
            or the present description is missing.

        Raises:
            PersonaRecordError: The cluster has a persona, the persona has a cluster, or Mavera does not list it.
        """
        records = await self._store.all_records()
        known = records.get(str(place.reference))
        if known and known.persona_id != persona_id:
            raise PersonaRecordError(f"{place} already has {known.persona_id}.", hint=_how_to_forget(place))
        for name, record in records.items():
            if record.persona_id == persona_id and record is not known:
                owner = ClusterAddress(record.space_id, record.cluster, record.collection, record.rules)
                if name == str(owner.reference):  # a record of mode `create` belongs to one sync only
                    raise PersonaRecordError(
                        f"{persona_id} is the persona of {owner}; rename that cluster, or forget it first."
                    )
        persona = await self._at_mavera(place, persona_id) if self._mavera else None
        if known is None:
            record = PersonaRecord(
                *(persona_id, place.space_id, place.cluster),
                sync_id="",
                n=0,
                collection=place.collection,
                rules=place.rules,
                complete=False,
            )
            _require_ok(await self._store.adopt(str(place.reference), record, place.identity), place)
        return persona is not None and await self._refer(persona, place)

    async def forget(self, place: ClusterAddress) -> PersonaRecord:
        """Removes the record of a cluster's persona, which stays at Mavera. Raises PersonaRecordError without one."""
        record = await self._known(place)
        if not await self._store.delete_record(str(place.reference), record):
            _require_ok("changed", place)
        return record

    async def rename(self, old: ClusterAddress, key: str) -> bool:
        """Moves a cluster's persona to the cluster's new key, here and in its description at Mavera.

        Returns:
            False if Mavera's list does not show the description; the next sync then changes it.

        Raises:
            ConfigurationError: MAVERA_API_KEY is not set.
            PersonaRecordError: No persona of the old key is known, or the new key has one.
        """
        new = replace(old, cluster=key)
        if self._mavera is None:
            raise ConfigurationError(
                "MAVERA_API_KEY is not set; it is needed to rename, because the persona's description at Mavera "
                "carries a reference to its cluster."
            )
        record = await self._known(old)
        persona = await self._at_mavera(old, record.persona_id)
        references = str(old.reference), str(new.reference)
        _require_ok(await self._store.rename(*references, record, replace(record, cluster=key), new.identity), new)
        return await self._refer(persona, new)

    async def _known(self, place: ClusterAddress) -> PersonaRecord:
        record = await self._store.find_record(str(place.reference))
        if record is None:
            raise PersonaRecordError(
                f"No persona of {place} is recorded (collection {place.collection}, rules {place.rules}).",
                hint="To see which personas are recorded: `segment-personas personas list`.",
            )
        return record

    async def _at_mavera(self, place: ClusterAddress, persona_id: str) -> Persona:
        """Returns the persona from Mavera's list. Raises PersonaRecordError if it is not there or cannot be changed."""
        # One of ours is found at once by its reference; one made by hand only among all of them.
        for search in (place.reference.family, ""):
            async for persona in self._listed(search):
                if persona.id == persona_id:
                    if persona.is_custom is False:
                        raise PersonaRecordError(
                            f"{persona_id} is one of Mavera's own personas, which cannot be changed."
                        )
                    return persona
        raise PersonaRecordError(
            f"Mavera lists no persona {persona_id}.",
            hint="Check the id, and whether MAVERA_API_KEY belongs to the account that has the persona.",
        )

    async def _listed(self, search: str) -> AsyncIterator[Persona]:
        assert self._mavera
        async for page in list_pages(self._mavera, search, self._ask):
            for persona in page.personas:
                yield persona

    async def _ask(self, request: Callable[[], Awaitable[ListPage]]) -> ListPage:
        await self._slot()
        try:
            return await request()
        except ApiError as error:
            raise PersonaRecordError(str(error), hint=error.hint) from None

    async def _refer(self, persona: Persona, place: ClusterAddress) -> bool:
        """Writes the reference into the description; returns False if the list does not show the description."""
        if persona.description is None:
            return False
        described = replace_reference(persona.description, place.reference)
        if described != persona.description:
            assert self._mavera
            try:
                await self._slot()
                await self._mavera.describe(persona.id, described)
            except PersonasError as error:
                raise PersonaRecordError(
                    f"{persona.id} is recorded as the persona of {place}, but its description at Mavera is "
                    f"unchanged; the next sync changes it. {error}"
                ) from None
        return True

    async def _slot(self) -> None:
        try:
            await self._limiter.wait_for_slot(LONGEST_WAIT_S)
        except MustWait as wait:
            raise PersonaRecordError(f"Mavera's rate limit is used up; try again in {wait.wait_s:.0f} s.") from None


def orphaned_references(settings: Settings, records: Mapping[str, PersonaRecord]) -> list[str]:
    """Returns the references of records whose clusters are not in the rules that a sync from here would use."""
    try:
        present = {name: present_rules(settings, name) for name in {record.rules for record in records.values()}}
    except ConfigurationError:
        return []  # a file of clusters that cannot be read says nothing about the records
    found = []
    for name, record in records.items():
        rules = present[record.rules]
        owner = Owner(record.space_id, record.collection, record.rules)
        if rules and find_orphans({name: record}, {}, owner, rules.cluster_keys):
            found.append(name)
    return found


def _how_to_forget(place: ClusterAddress) -> str:
    """Returns the hint with the command after which a cluster has no persona any more."""
    options = "" if place.collection == "users" else f" --collection {place.collection}"
    if place.rules != "recipe":
        options += f" --rules {place.rules}"
    return f"To forget it first: `segment-personas personas forget {place.space_id} {place.cluster}{options}`."


def _order(record: PersonaRecord) -> tuple[str, ...]:
    return record.space_id, record.collection, record.rules, record.cluster, record.persona_id


def _require_ok(answer: str, place: ClusterAddress) -> None:
    """Raises PersonaRecordError unless the answer of a script is `ok`."""
    match answer:
        case "ok":
            return
        case "exists":
            raise PersonaRecordError(f"{place} already has a persona.", hint=_how_to_forget(place))
        case "doubt":
            raise PersonaRecordError(
                f"A persona for {place} may have been bought.", hint="Resume the sync that was buying it first."
            )
        case "changed":
            raise PersonaRecordError(f"The record of {place} was changed meanwhile.", hint="Check it, and try again.")
        case sync_id:
            raise PersonaRecordError(f"{sync_id} is running in this space.", hint="Wait for it, or cancel it.")
