"""The tables of `SPACES_FILE` as pydantic models: what a space and an account may say. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.settings.value_types import (
    BaseUrl,
    LowerCase,
    RatePerMinute,
    RatePerSecond,
    SecondsOrZero,
    Token,
    WarehouseSecret,
)

FileName = Annotated[str, Field(min_length=1, max_length=4096)]
AccountName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]

DEFAULT = "default"
"""Name of the account of `MAVERA_API_KEY`, and of the table for all other spaces."""


class Entry(BaseModel):
    """A table of the file. A field that is not set falls back to `[default]` and then to the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class SpaceEntry(Entry):
    """The fields of a space, or of `[default]`."""

    token: Token | None = Field(None, description="Segment access token of the space")
    token_file: FileName | None = Field(None, description="File that contains the token")
    region: Annotated[Literal["us", "eu"], LowerCase] | None = Field(None, description="Region of Segment: us or eu")
    base_url: BaseUrl | None = Field(None, description="Base URL of Segment, instead of the region's")
    dialect: Annotated[Literal["auto", "inline", "profile-api"], LowerCase] | None = Field(
        None, description="Dialect if a request names none"
    )
    rate: RatePerSecond | None = Field(None, gt=0, le=1e6, description="Requests a second, over all workers")
    account: AccountName | None = Field(None, description="Name of the Mavera account that gets the personas")
    warehouse_url: WarehouseSecret | None = Field(None, description="URL of the warehouse that has the profiles")
    warehouse_url_file: FileName | None = Field(None, description="File that contains that URL")


class AccountEntry(Entry):
    """The fields of a Mavera account."""

    api_key: Token | None = Field(None, description="Mavera API key")
    api_key_file: FileName | None = Field(None, description="File that contains the key")
    base_url: BaseUrl | None = Field(None, description="Base URL of Mavera")
    rate: RatePerMinute | None = Field(None, ge=1, le=1_000_000, description="Requests a minute, over all workers")
    gap_s: SecondsOrZero | None = Field(None, description="Least time between two requests, in seconds")
    records: Literal["default"] | None = Field(
        None, description="default: the account has the records that were made with MAVERA_API_KEY"
    )


class SpacesDocument(Entry):
    """The whole file."""

    default: SpaceEntry = Field(default_factory=SpaceEntry.model_construct, description="For spaces that have no table")
    spaces: dict[str, SpaceEntry] = Field({}, description="A table for each space: [spaces.spa_123]")
    accounts: dict[AccountName, AccountEntry] = Field(
        {}, description="A table for each Mavera account: [accounts.emea]"
    )


SECRETS = {SpaceEntry: ("token", "warehouse_url"), AccountEntry: ("api_key",)}
"""Fields of each table that may also be in a file, which the field with `_file` names."""
