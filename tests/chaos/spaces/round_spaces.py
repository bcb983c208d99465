"""The spaces of a round: how each is read, and what it truly contains."""

from __future__ import annotations

import random
from pathlib import Path

from producer import SyncRequest
from producer.sandbox import SpaceSpec
from tests.chaos.faults.api_faults import poisons
from tests.chaos.spaces.file_spaces import LINES, TABLES, rows, write_shards
from tests.chaos.spaces.warehouse_space import WAREHOUSE, WarehouseSpace
from tests.support.scenarios.expected_clusters import ExpectedClusters, expected_clusters

PAGE_SIZE = 40
"""Small pages: a space of few profiles takes as many requests as one of thousands elsewhere."""
BY_PROFILE = "spa_p"
"""The space that is read by profile-api, with profiles that cannot be read."""
SECOND_NIGHT = "spa_1"
"""The space that has its personas before the trouble begins, from a smaller space."""
FIRST_NIGHT = SpaceSpec(200, "mixed", seed=3)
"""That smaller space."""
SCHEDULED = "spa_s"
"""The space whose sync a schedule starts."""
AGAIN = "spa_a"
"""The space that is asked for with several keys, whether or not a sync of it runs."""
_FOUR_PERSONAS = 4 * 300


class RoundSpaces:
    """The spaces of one round.

    Args:
        seed: Of the round.
        chance: Decides what is random.
        count: Number of spaces that are read as `inline`; of few, there is only one of files beside them.
        warehouse: Whether there is a space in PostgreSQL.

    Attributes:
        specs: By the ids of the spaces.
        poisons: What makes profiles of `BY_PROFILE` unreadable, by their numbers.
        warehouse: The space in PostgreSQL.
    """

    def __init__(self, seed: int, chance: random.Random, count: int, *, warehouse: bool) -> None:
        def spec(least: int, most: int, number: int, kind: str = "mixed") -> SpaceSpec:
            return SpaceSpec(chance.randint(least, most), kind, seed=seed * 100 + number)

        self.specs = {f"spa_{i}": spec(400, 1600, i) for i in range(count)}
        self.specs |= {BY_PROFILE: spec(150, 600, 98), SCHEDULED: spec(200, 320, 97), AGAIN: spec(100, 300, 96)}
        for place, space in enumerate((LINES, TABLES) if count > 2 else (LINES, TABLES)[seed % 2 :][:1]):
            self.specs[space] = spec(400, 1200, 94 + place)
        self.warehouse: WarehouseSpace | None = None
        if warehouse:
            self.specs[WAREHOUSE] = spec(500, 1500, 93, "wide")
            self.warehouse = WarehouseSpace(self.specs[WAREHOUSE], chance)
        self.poisons = poisons(chance, BY_PROFILE, self.specs[BY_PROFILE])

    def write_files(self, folder: Path) -> None:
        """Writes the files of the spaces that are read from files."""
        write_shards(folder, self.specs)

    def request(self, space: str) -> SyncRequest:
        """Every other space is read by fan-out. None may spend more than its personas cost; a second night nothing."""
        if space == BY_PROFILE:
            return SyncRequest(space_id=space, dialect="profile-api", max_credits=_FOUR_PERSONAS)
        if space in (LINES, TABLES):
            return SyncRequest(space_id=space, file=space, max_credits=_FOUR_PERSONAS)
        if space == WAREHOUSE:
            return SyncRequest(space_id=space, warehouse="profile_traits", max_credits=_FOUR_PERSONAS)
        if space in (SCHEDULED, AGAIN):
            return SyncRequest(space_id=space, max_credits=_FOUR_PERSONAS)
        budget = 0 if space == SECOND_NIGHT else _FOUR_PERSONAS
        return SyncRequest(
            space_id=space, strategy="fan-out" if int(space[-1]) % 2 == 0 else "chain", max_credits=budget
        )

    def truth(self, space: str) -> ExpectedClusters:
        """What a space truly is. A poisoned profile is left out; and by profile-api, traits that are missing
        look like traits that are not an object."""
        people = enumerate(rows(space, self.specs[space]))
        if space != BY_PROFILE:
            return expected_clusters(entry for _, entry in people)
        found = expected_clusters(entry for number, entry in people if number not in self.poisons)
        found.trait_errors["traits"] = 0
        return found
