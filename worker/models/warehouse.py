"""The read of a warehouse by a sync: the columns that a request names, and the statement that a job has submitted.

Pure data, kept in Redis as JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.input_values import Expected

AUTO_TABLE = "auto"
"""The table of a request that names none: `user_traits`, or else `profile_traits`."""

TABLE_PATTERN = r'^[^\x00-\x1f\x7f-\x9f"`.]{1,255}(\.[^\x00-\x1f\x7f-\x9f"`.]{1,255}){0,2}$'

_Column = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,255}$"), Expected("the name of a column", "user_id")]


class WarehouseColumns(BaseModel):
    """The columns of a table, where their names are not the usual ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: _Column | None = Field(default=None, description="Identifier of the profile")
    name: _Column | None = Field(default=None, description="Name of a trait, in a table with a row for each trait")
    value: _Column | None = Field(default=None, description="Value of that trait")
    traits: _Column | None = Field(default=None, description="All traits of a profile as one JSON object")
    merged_to: _Column | None = Field(default=None, description="Profile that this one was merged into, or empty")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if (self.name is None) is not (self.value is None):
            raise ValueError("name and value go together: a table with a row for each trait has both")
        if self.name is not None and (self.id is None or self.traits is not None or self.merged_to is not None):
            raise ValueError("a table with a row for each trait has the columns id, name and value, and no other")
        if not self.given:
            raise ValueError("at least one column must be named")
        return self

    @property
    def given(self) -> dict[str, str]:
        """The columns that are named: role → column."""
        return {role: column for role, column in self if column is not None}


@dataclass(frozen=True)
class WarehouseRead:
    """The statement of a sync at a warehouse.

    Attributes:
        engine: Name of the product.
        table: With its schema, as the engine spells it.
        digest: Of the statement's text, so that a changed statement is recognised.
        submitted_at: When it was submitted, Unix seconds; 0: it is about to be. Its snapshot is of this time.
        query_id: What the engine calls the statement; empty: not submitted yet.
        bytes: What it read, in bytes; None: it runs, or the engine does not tell.
    """

    engine: str
    table: str
    digest: str
    submitted_at: float = 0.0
    query_id: str = ""
    bytes: int | None = None

    def encode(self) -> str:
        """Encodes it for Redis."""
        return orjson.dumps({"version": 1, **asdict(self)}).decode()

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Decodes what `encode` wrote; None if the text is empty or not of this version."""
        try:
            fields = orjson.loads(text)
            size = fields["bytes"]
            return cls(
                str(fields["engine"]),
                str(fields["table"]),
                str(fields["digest"]),
                float(fields["submitted_at"]),
                str(fields["query_id"]),
                None if size is None else int(size),
            )
        except (ValueError, KeyError, TypeError):
            return None
