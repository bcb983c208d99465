"""Options that several commands share, declared once, and the decorator that adds them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from producer.cli.declarations.options import (
    AllowPartial,
    Clusters,
    Collection,
    Columns,
    Details,
    Dialect,
    Embedded,
    Force,
    FromFile,
    FromWarehouse,
    IdempotencyKey,
    Json,
    MaxCredits,
    MaxProfiles,
    MinClusterSize,
    Mode,
    NoWait,
    Sample,
    Sandbox,
    Strategy,
    Timeout,
    TraitClass,
)

Command = TypeVar("Command", bound=Callable[..., Any])


def request_options(
    clusters: Clusters = None,
    collection: Collection = "users",
    min_cluster_size: MinClusterSize = 3,
    from_file: FromFile = None,
    from_warehouse: FromWarehouse = None,
    columns: Columns = None,
    sample: Sample = None,
    max_profiles: MaxProfiles = None,
    dialect: Dialect = None,
    strategy: Strategy = "auto",
    trait_class: TraitClass = None,
    max_credits: MaxCredits = None,
    allow_partial: AllowPartial = False,
    mode: Mode = "upsert",
) -> None:
    """The options of `sync`, `preview` and `schedule add` that shape a request."""


def run_options(
    force: Force = False,
    idempotency_key: IdempotencyKey = None,
    embedded: Embedded = False,
    sandbox: Sandbox = False,
    json: Json = False,
    details: Details = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
) -> None:
    """The options of `sync` and `preview` that say how a sync is started and followed."""


def takes(*groups: Callable[..., None]) -> Callable[[Command], Command]:
    """Adds the options of `groups` to a command, which receives them as `**shared`.

    `--help` shows them after the command's parameters and before its keyword-only ones.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        shared = [one for group in groups for one in inspect.signature(group, eval_str=True).parameters.values()]
        ordered = [
            *(one for one in own if one.kind is one.POSITIONAL_OR_KEYWORD),
            *shared,
            *(one for one in own if one.kind is one.KEYWORD_ONLY),
        ]
        keyword_only = [one.replace(kind=one.KEYWORD_ONLY) for one in ordered]
        command.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        return command

    return decorate
