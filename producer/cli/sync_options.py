"""The options of `sync` and `preview`, and the requests that they make."""

from __future__ import annotations

import glob
import math
import os
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from producer.cli.identifiers import check_space_id, missing_space_error
from producer.cli.input_files import check_file_names
from producer.cli.terminal import Screen
from producer.embedded import DEMO_SPACE_ID
from producer.rules_file import load_chosen_rules
from worker.clusters import Rules
from worker.errors import ConfigurationError, InvalidRequest
from worker.models.request import (
    FAN_OUT_NEEDS_INLINE,
    FAN_OUT_READS_ALL,
    TRAIT_CLASS_NEEDS_PROFILE_API,
    Strategy,
    SyncRequest,
    describe_problems,
)
from worker.models.warehouse import TABLE_PATTERN, WarehouseColumns
from worker.segment.export_file import STANDARD_INPUT, is_of_one_process
from worker.segment.file_shards.listing.object_storage import is_url, require_extra
from worker.settings import Dialect, Settings


@dataclass(frozen=True)
class SyncOptions:
    """The options of `sync` and `preview`.

    Attributes:
        timeout_s: How long to follow, in seconds.
        details: Whether a plan is shown with every field.
        exit_code: Whether the exit code of a preview shows that it would change something.
        accept: Whether a sync that a guard stops is continued.
        arguments: What the user typed after the program's name.
    """

    space_ids: tuple[str, ...] = ()
    preview: bool = False
    yes: bool = False
    max_credits: int | None = None
    wait: bool = True
    json: bool = False
    embedded: bool = False
    sandbox: bool = False
    max_profiles: int | None = None
    min_cluster_size: int = 3
    timeout_s: float = math.inf
    force: bool = False
    mode: Literal["upsert", "create"] = "upsert"
    allow_partial: bool = False
    from_files: tuple[str, ...] = ()
    from_warehouse: str | None = None
    columns: str | None = None
    sample: float | None = None
    dialect: Dialect | None = None
    strategy: Strategy = "auto"
    collection: Literal["users", "accounts"] = "users"
    trait_class: Literal["computed_trait", "audience"] | None = None
    idempotency_key: str | None = None
    clusters: str | None = None
    details: bool = False
    exit_code: bool = False
    accept: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def command_line(self) -> tuple[str, ...]:
        """The command line that the user typed. At least the command and the spaces are known."""
        return self.arguments or ("preview" if self.preview else "sync", *self.space_ids)

    @property
    def from_file(self) -> str | None:
        """The file that is read instead of a space."""
        return self.from_files[0] if self.from_files else None

    @property
    def reads_segment(self) -> bool:
        """Whether the profiles come from Segment's API."""
        return self.from_file is None and self.from_warehouse is None

    def asks_before_purchase(self, err: Screen) -> bool:
        """Returns whether the plan is shown and the user asked before anything is paid for: only at a terminal."""
        hurried = self.preview or self.yes or self.json or self.sandbox or not self.wait
        return not hurried and err.can_ask

    def runs_in_process(self, settings: Settings) -> bool:
        """Returns whether everything runs in this process. Raises ConfigurationError if an option does not go with
        that.
        """
        if not (self.embedded or self.sandbox or settings.redis_url is None):
            if self.from_file == STANDARD_INPUT:
                raise ConfigurationError(
                    "--from-file -: the workers cannot read the standard input of this command.",
                    hint="Add --embedded, or write the profiles to a file that the workers can read.",
                )
            return False
        return True

    def check(self) -> None:
        """Raises ConfigurationError if two options exclude each other."""
        if self.accept and not self.wait:
            raise ConfigurationError(
                "--accept cannot be used with --no-wait: the guard stops the sync later.",
                hint="Leave one of them out, or run `segment-personas resume SYNC_ID --accept` when it has stopped.",
            )
        for given, name in ((not self.wait, "--no-wait"), (self.idempotency_key, "--idempotency-key")):
            if given and self.sandbox:
                raise ConfigurationError(
                    f"{name} cannot be used with --sandbox, which keeps its state in memory.",
                    hint="Leave one of them out.",
                )
        if not self.wait and self.from_file is not None and is_of_one_process(self.from_file):
            raise ConfigurationError(
                f"--no-wait: no other process can read --from-file {self.from_file}.", hint="Leave out --no-wait."
            )


def build_requests(settings: Settings, options: SyncOptions, *, plan_only: bool = False) -> list[SyncRequest]:
    """Returns a request for each space. Raises ConfigurationError that says what is wrong with the options."""
    check_file_names(options.space_ids, options.from_files)
    space_ids = list(options.space_ids)
    if not space_ids:
        # Synthetic profiles must not be stored under the id of a real space.
        default = DEMO_SPACE_ID if options.sandbox else settings.segment_space_id
        if default is None:
            raise missing_space_error()
        space_ids = [default]
    twice = sorted({space_id for space_id in space_ids if space_ids.count(space_id) > 1})
    if twice:
        raise ConfigurationError(f"{', '.join(twice)}: named more than once.")
    if options.idempotency_key and len(space_ids) > 1:
        raise ConfigurationError("--idempotency-key is for one sync.", hint="Name one space at a time.")
    rules = load_chosen_rules(settings, options.clusters)
    file = options.from_file
    if not options.reads_segment:
        _check_options_for_other_source(space_ids, options)
    if file is not None and options.runs_in_process(settings):
        file = _check_local_file(file)
    columns = read_columns(options.from_warehouse, options.columns)
    return [_request(settings, space_id, options, rules, file, columns, plan_only) for space_id in space_ids]


def _check_options_for_other_source(space_ids: Sequence[str], options: SyncOptions) -> None:
    """Raises ConfigurationError if an option cannot be used with a file or a warehouse."""
    source = "--from-file" if options.from_warehouse is None else "--from-warehouse"
    if options.from_file is not None and options.from_warehouse is not None:
        raise ConfigurationError("--from-file and --from-warehouse exclude each other.", hint="Leave one of them out.")
    if len(space_ids) > 1:
        raise ConfigurationError(f"{source} holds the profiles of one space.", hint="Name one space at a time.")
    fan_out = options.strategy == "fan-out"
    for given, name in (
        (options.dialect, "--dialect"),
        (fan_out, "--strategy fan-out"),
        (options.trait_class, "--trait-class"),
    ):
        if given:
            raise ConfigurationError(
                f"{name} says how Segment is read, and {source} reads nothing from Segment.",
                hint="Leave one of them out.",
            )


def read_columns(table: str | None, text: str | None) -> WarehouseColumns | None:
    """Returns the columns that `--columns` names, after a check of the table. Raises ConfigurationError.

    Args:
        table: The value of `--from-warehouse`.
        text: The value of `--columns`.
    """
    if table is not None and not re.fullmatch(TABLE_PATTERN, table):
        raise ConfigurationError("--from-warehouse: must be a table, schema.table or database.schema.table.")
    if text is None:
        return None
    if table is None:
        raise ConfigurationError("--columns needs a table.", hint="Name the table: --from-warehouse segment.traits.")
    pairs = [part.partition("=") for part in text.split(",")]
    roles = [role.strip() for role, _, _ in pairs]
    if not all(sign and column.strip() for _, sign, column in pairs) or len(set(roles)) < len(roles):
        raise ConfigurationError("--columns: must be roles with their columns, such as id=user_id,name=trait,value=v.")
    try:
        return WarehouseColumns.model_validate({role.strip(): column.strip() for role, _, column in pairs})
    except ValidationError as error:
        name, sentence = next(iter(describe_problems(WarehouseColumns, error).items()))
        if name not in ("", *WarehouseColumns.model_fields):
            sentence = f"{name} is not a role of a column; the roles are {', '.join(WarehouseColumns.model_fields)}"
        raise ConfigurationError(f"--columns: {sentence}.") from None


def chosen_dialect(settings: Settings, options: SyncOptions) -> Dialect:
    """Returns the dialect: of the options, or of the settings; an option that only one dialect has chooses it."""
    dialect = options.dialect or settings.segment_dialect
    if dialect != "auto" or options.strategy == "fan-out":
        return dialect
    return "profile-api" if options.trait_class else "auto"


def _check_local_file(file: str) -> str:
    """Returns the absolute name of a file that this process will read. Raises ConfigurationError if it cannot."""
    if file == STANDARD_INPUT:
        if sys.stdin is None:
            raise ConfigurationError("--from-file -: standard input is closed.")
        return file
    if is_url(file):
        require_extra(file)
        return file
    if glob.has_magic(file) and not os.path.exists(file):
        return os.path.join(os.getcwd(), file)
    try:
        found = os.stat(file)
        if stat.S_ISREG(found.st_mode):
            with open(file, "rb"):
                pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this cannot be a file name"
        raise ConfigurationError(f"--from-file {file}: {reason}.") from None
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise ConfigurationError(f"--from-file {file}: it is empty.")
    return os.path.abspath(file)


def _request(
    settings: Settings,
    space_id: str,
    options: SyncOptions,
    rules: Rules,
    file: str | None,
    columns: WarehouseColumns | None,
    plan_only: bool,
) -> SyncRequest:
    dialect = "auto" if not options.reads_segment else chosen_dialect(settings, options)
    if options.strategy == "fan-out" and dialect == "profile-api":
        raise ConfigurationError(f"--strategy: {FAN_OUT_NEEDS_INLINE}.")
    if options.trait_class and dialect == "inline":
        raise ConfigurationError(f"--trait-class: {TRAIT_CLASS_NEEDS_PROFILE_API}.")
    if options.strategy == "fan-out" and options.sample is not None:
        raise ConfigurationError(f"--strategy: {FAN_OUT_READS_ALL}.")
    try:
        return SyncRequest(
            space_id=space_id,
            file=file,
            warehouse=options.from_warehouse,
            warehouse_columns=columns,
            sample=options.sample,
            dialect=dialect,
            strategy=options.strategy,
            collection=options.collection,
            trait_class=options.trait_class,
            rules=rules,
            max_profiles=options.max_profiles,
            min_cluster_size=options.min_cluster_size,
            mode=options.mode,
            allow_partial=options.allow_partial,
            plan_only=plan_only,
            max_credits=options.max_credits,
        )
    except InvalidRequest:  # the command line has checked the other options
        check_space_id(space_id)
        raise ConfigurationError("--from-file: this cannot be a file name.") from None
