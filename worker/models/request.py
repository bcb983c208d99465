"""The request that starts a sync: everything that shapes its result.

Pure data. Requests are kept in Redis as JSON, so the field names are part of the storage format.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from worker.clusters import RECIPE, Rules
from worker.clusters.rules.builtin import BUILTIN_RULES, load_builtin_rules
from worker.errors import InvalidRequest
from worker.input_values import Expected, describe_problem, describe_rules_problem
from worker.models.versions import NewerVersion, check_version
from worker.models.warehouse import TABLE_PATTERN, WarehouseColumns

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

Strategy = Literal["auto", "chain", "fan-out"]

IDEMPOTENCY_KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
"""The keys that the command line and the HTTP API accept."""


_STORED = {"stored": True}
"""Validation context of data from Redis, which passed the checks of the version that stored it."""


_OF_NEWER_VERSIONS = frozenset({"extra_forbidden", "literal_error", "union_tag_invalid", "enum"})
"""What is wrong, as pydantic names it, with a part of a request that only a newer version knows."""


@lru_cache(maxsize=64)
def _shared(text: str, *, stored: bool) -> Rules:
    return Rules.model_validate_json(text, context=_STORED if stored else None)


def _as_rules(value: object, info: ValidationInfo) -> object:
    """Finds rules by their name. Equal data yields the same object, so that a worker compiles it once for all jobs."""
    if isinstance(value, str) and value in BUILTIN_RULES:
        return load_builtin_rules(value)
    if isinstance(value, dict):
        # Data that is not JSON, or is nested too deep, is reported with its field by the validation that follows.
        with suppress(TypeError, RecursionError):
            return _shared(json.dumps(value), stored=info.context is _STORED)
    return value


def _written(rules: Rules) -> str | dict[str, Any]:
    # The default rules are written as their name, which keeps most requests small and readable by old versions.
    return RECIPE.name if rules == RECIPE else rules.as_json()


FAN_OUT_NEEDS_INLINE = "fan-out is for the dialect inline; profile-api always fetches its profiles concurrently"


TRAIT_CLASS_NEEDS_PROFILE_API = (
    "only the dialect profile-api can ask for one class of traits; leave the class out, or choose profile-api"
)


FAN_OUT_READS_ALL = "fan-out reads whole pages, so it cannot read a sample; leave out one of the two"


SPACE_ID = Expected("1 to 128 ASCII letters, digits and characters of . _ ~ -", example="spa_123")
_FILE = Expected("a path without control characters", example="profiles.ndjson")
_TABLE = Expected(
    "the name of a table (table, schema.table or database.schema.table) without quotes, or auto",
    example="segment.user_traits",
)
_RULES = Expected(f"Rules, or the name of rules that ship with the program ({', '.join(BUILTIN_RULES)})")


def describe_problems(model: type[BaseModel], error: ValidationError) -> dict[str, str]:
    """Returns what each refused field of `model` accepts, by name; a place inside `rules` is named with dots."""
    found: dict[str, str] = {}
    for problem in error.errors(include_input=False, include_url=False):
        name, *place = map(str, problem["loc"] or ("",))
        if problem["type"] == "missing":
            sentence = "is required"
        elif place and name == "rules":
            sentence = describe_rules_problem(model, problem)
        else:  # the place in the value is the member of a union that pydantic tried
            place, sentence = [], describe_problem(model, problem)
        found.setdefault(".".join((name, *place)), sentence)
    return found


def _chosen(strategy: Strategy) -> Strategy:
    """Replaces `auto` by the strategy that it means, so that requests for either are equal."""
    return "chain" if strategy == "auto" else strategy


class _ExplainedRequest(ModelMetaclass):
    """Lets `SyncRequest(...)` raise InvalidRequest. `model_validate` keeps pydantic's error, which names each place."""

    if not TYPE_CHECKING:  # type checkers take the signature from the fields

        def __call__(cls, *arguments: Any, **fields: Any) -> Any:
            try:
                return super().__call__(*arguments, **fields)
            except ValidationError as error:
                raise InvalidRequest(describe_problems(cls, error)) from None


class SyncRequest(BaseModel, metaclass=_ExplainedRequest):
    """A request for a sync. It holds everything that shapes the result, so that every worker produces the same.

    Raises:
        InvalidRequest: A field is not known or has a value that it does not accept, or two fields exclude each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    space_id: Annotated[str, SPACE_ID] = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$", description="Segment space"
    )
    dialect: Literal["auto", "inline", "profile-api"] = Field(
        default="auto",
        description="How Segment is asked. inline: traits in the list; profile-api: one call for each profile's; "
        "auto: as it answers",
    )
    strategy: Annotated[Strategy, AfterValidator(_chosen)] = Field(
        default="auto",
        validate_default=True,
        description="chain: page after page; fan-out (inline): list first, read pages on all workers; auto: the chain",
    )
    collection: Literal["users", "accounts"] = Field(default="users", description="Collection of profiles in the space")
    trait_class: Literal["computed_trait", "audience"] | None = Field(
        default=None, description="Read only traits of this class (profile-api)"
    )
    rules: Annotated[Rules, BeforeValidator(_as_rules), PlainSerializer(_written), _RULES] = Field(
        default=RECIPE, description="Traits and clusters, or the name of rules that ship with the program"
    )
    file: Annotated[str | None, _FILE] = Field(
        default=None,
        max_length=4096,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",  # no control characters
        description="Read this file instead of the space: a path on the workers; one profile a line, maybe in gzip",
    )
    warehouse: Annotated[str | None, _TABLE] = Field(
        default=None,
        max_length=512,
        pattern=TABLE_PATTERN,
        description="Read this table of the warehouse instead of the space; auto: user_traits or profile_traits",
        examples=["segment.user_traits"],
    )
    warehouse_columns: WarehouseColumns | None = Field(
        default=None, description="Columns of that table, where their names are not the usual ones"
    )
    sample: Annotated[float | None, Expected(example="0.05")] = Field(
        default=None, gt=0, lt=1, description="Read only this share of the profiles, picked by their identifiers"
    )
    max_profiles: int | None = Field(default=None, ge=1, description="Stop reading after this many profiles")
    min_cluster_size: int = Field(default=3, ge=1, description="Fewest profiles of a cluster that gets a persona")
    mode: Literal["upsert", "create"] = Field(
        default="upsert",
        description="upsert: update the cluster's persona if it has one; create: always create a new one",
    )
    allow_partial: Annotated[bool | Literal["create"], Expected("true, false or `create`")] = Field(
        default=False,
        description="Let a sync of a part of the space create personas, and overwrite those made from all of it; "
        "`create`: only the former",
    )
    plan_only: bool = Field(default=False, description="Plan the personas and change none; `apply` makes them")
    max_credits: int | None = Field(default=None, ge=0, description="Spend no more credits than these")

    @model_validator(mode="before")
    @classmethod
    def _dialect_follows(cls, data: Any) -> Any:
        """Chooses the dialect if only one of them has a requested option."""
        if not isinstance(data, dict) or data.get("dialect", "auto") != "auto" or _names_another_source(data):
            return data
        if data.get("strategy") == "fan-out":
            return {**data, "dialect": "inline"}
        return {**data, "dialect": "profile-api"} if data.get("trait_class") else data

    @model_serializer(mode="wrap")
    def _leave_auto_out(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Leaves `auto` out of JSON, so that a version that does not know it uses its own default."""
        data: dict[str, Any] = handler(self)
        if info.mode == "json" and self.dialect == "auto":
            data.pop("dialect", None)  # `exclude_unset` may have left it out already
        if info.mode == "json" and self.warehouse is None:
            for name in ("warehouse", "warehouse_columns"):  # an earlier version refuses fields that it does not know
                data.pop(name, None)
        elif info.mode == "json":
            data["version"] = 2
        return data

    @model_validator(mode="after")
    def _fits_a_file(self) -> Self:
        if self.file is not None and (self.trait_class or self.dialect == "profile-api" or self.fans_out):
            raise ValueError("dialect, trait_class and fan-out are options of Segment's APIs, not of a file")
        return self

    @model_validator(mode="after")
    def _fits_a_warehouse(self) -> Self:
        if self.warehouse is None:
            if self.warehouse_columns is not None:
                raise ValueError("warehouse_columns are columns of a table; name the table in warehouse")
            return self
        if self.file is not None:
            raise ValueError("profiles come from a file or from a warehouse; leave one of the two out")
        if self.trait_class or self.dialect != "auto" or self.fans_out:
            raise ValueError("dialect, trait_class and fan-out are options of Segment's APIs, not of a warehouse")
        return self

    @classmethod
    def from_stored(cls, text: str) -> Self:
        """Reads a request from Redis, also one that an earlier version accepted and this one would not.

        Fields that are not known here are ignored. Raises NewerVersion if it asks, in a field that is known here, for
        what this version does not know, such as another kind of condition.
        """
        fields = orjson.loads(text)
        check_version("a request", fields.get("version"), 2)
        known = {name: value for name, value in fields.items() if name in cls.model_fields}
        try:
            return cls.model_validate(known, context=_STORED)
        except ValidationError as error:
            if any(problem["type"] in _OF_NEWER_VERSIONS for problem in error.errors()):
                raise NewerVersion("a request", 3, 2) from error
            raise

    @model_validator(mode="after")
    def _trait_class_fits(self, info: ValidationInfo) -> Self:
        if self.trait_class and self.dialect == "inline" and info.context is not _STORED:
            raise ValueError(TRAIT_CLASS_NEEDS_PROFILE_API)
        return self

    @model_validator(mode="after")
    def _strategy_fits(self) -> Self:
        if self.fans_out and self.dialect != "inline":
            raise ValueError(FAN_OUT_NEEDS_INLINE)
        if self.fans_out and self.sample is not None:
            raise ValueError(FAN_OUT_READS_ALL)
        return self

    @property
    def fans_out(self) -> bool:
        """Whether pages are listed first and then read on all workers."""
        return self.strategy == "fan-out"

    @property
    def reads_segment(self) -> bool:
        """Whether the profiles come from Segment's API, and not from a file or a warehouse."""
        return self.file is None and self.warehouse is None

    @property
    def source_name(self) -> str:
        """The kind of source in one word: space, file or table."""
        return "file" if self.file is not None else "space" if self.warehouse is None else "table"

    @property
    def identity(self) -> str:
        """A digest of space, collection and name of the rules; only one sync of an identity runs at a time."""
        return identity(self.space_id, self.collection, self.rules.name)

    @property
    def counting_digest(self) -> str:
        """Digest of the rules and the class of traits; statistics can be compared only if it is the same."""
        text = json.dumps([self.rules.as_json(), self.trait_class], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def differences(self, other: SyncRequest) -> list[str]:
        """Describes the options in which `other` differs: `max-profiles 5 instead of unset`; of rules, which parts."""
        mine, theirs = self.model_dump(exclude={"rules"}), other.model_dump(exclude={"rules"})
        found = [
            _difference(name, mine[name], theirs[name])
            for name in mine
            if mine[name] != theirs[name] and (name != "max_credits" or self.plan_only == other.plan_only)
        ]
        if parts := self.rules.differences(other.rules):
            found.append(f"rules: another {', '.join(parts)}")
        return found

    def with_budget(self, max_credits: int | None) -> SyncRequest:
        """Returns the request with another budget."""
        return self.model_copy(update={"max_credits": max_credits})

    def applied_within(self, max_credits: int | None, *, allow_partial: bool = False) -> SyncRequest:
        """Returns what a preview becomes when it is applied: it makes its personas, within a budget.

        Args:
            max_credits: The budget in credits; None: no budget.
            allow_partial: Whether to create personas from a part of the space, as the plan says.
        """
        allowed = self.allow_partial or ("create" if allow_partial else False)
        return self.model_copy(update={"plan_only": False, "max_credits": max_credits, "allow_partial": allowed})


def _names_another_source(data: dict[str, Any]) -> bool:
    return data.get("file") is not None or data.get("warehouse") is not None


def _difference(name: str, mine: object, theirs: object) -> str:
    """Describes one option that two requests set differently, as the command line names it."""
    if name == "plan_only":
        acts = ("only plans", "changes personas")
        return f"this request {acts[not mine]}, the other {acts[not theirs]}"
    words = {None: "unset", True: "on", False: "off"}
    shown = [words[value] if value is None or isinstance(value, bool) else f"{value}" for value in (mine, theirs)]
    return f"{name.replace('_', '-')} {shown[0]} instead of {shown[1]}"


def identity(space_id: str, collection: str, rules_name: str) -> str:
    """Returns a digest of space, collection and name of the rules: 24 characters."""
    text = "\0".join((space_id, collection, rules_name))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
