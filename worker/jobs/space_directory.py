"""Applies `SPACES_FILE` to a process: the settings of each space, and the name of each account in Redis.

The account `default`, and one with `records = "default"`, has the name that `MAVERA_API_KEY` alone gives it, so that a
deployment that begins to use the file keeps its records. Every other account has its name in the file, and takes over
the records of its own spaces from that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import SecretStr

from worker.errors import ResumableStop
from worker.settings import ClientConfig, NamedAccount
from worker.spaces.entries import DEFAULT, AccountEntry
from worker.spaces.spaces_file import Fallbacks, SpacesFile
from worker.spaces.watched_file import WatchedSpacesFile
from worker.store.personas.account_name import account_name, file_account_name

Config = TypeVar("Config", bound=ClientConfig)


@dataclass(frozen=True)
class _Account:
    """An account of the file, or that of `MAVERA_API_KEY`.

    Attributes:
        entry: With the values of the environment where the file says nothing.
        base_name: The name that its base URL and its key give it.
        name: Its name in Redis.
    """

    entry: AccountEntry
    base_name: str
    name: str


@dataclass
class _Version:
    """One version of the file, with the names that follow from it.

    Attributes:
        accounts: Name in the file → account.
        by_name: Name in Redis → account.
    """

    number: int
    file: SpacesFile
    accounts: dict[str, _Account] = field(default_factory=dict)
    by_name: dict[str, _Account] = field(default_factory=dict)


class SpaceDirectory(Generic[Config]):
    """The spaces and accounts of a process.

    Args:
        config: Settings of the process, which the file refines.
        file: The file.
    """

    def __init__(self, config: Config, file: WatchedSpacesFile) -> None:
        self.file = file
        self._config = config
        self._known: dict[str, None] = {}
        self._version = self._read()

    @property
    def version(self) -> int:
        """Changes when the file does."""
        return self._current().number

    def accounts(self) -> Sequence[str]:
        """Returns the names in Redis of all accounts, at least one.

        Accounts that have left the file are among them, so that their syncs end with a reason. So is the name that
        `MAVERA_API_KEY` gave an account before, whose queue may still have jobs.
        """
        self._current()
        return [*self._known] or [""]

    def account_names(self) -> Sequence[str]:
        """Returns the names of the accounts as the file has them, with `default` if it has a key."""
        return [*self._current().accounts]

    def account_of(self, space_id: str) -> str:
        """Returns the name in Redis of a space's account; empty if it has none, or its key is not known here."""
        version = self._current()
        account = version.accounts.get(version.file.account_of(space_id))
        return account.name if account and account.entry.api_key else ""

    def settings_of(self, space_id: str, owner: str = "") -> Config:
        """Returns the settings of a space.

        Args:
            space_id: The space.
            owner: Name in Redis of the account to which a sync of the space belongs; empty: the space's own.

        Raises:
            ResumableStop: No account, or no key of the account, is known.
        """
        version = self._current()
        account = self._account_for(version, space_id, owner)
        changes = _account_changes(account.entry)
        for entry in filter(None, (version.file.default, version.file.spaces.get(space_id))):
            set_here = {
                "segment_token": entry.token,
                "segment_rate": entry.rate,
                "segment_dialect": entry.dialect,
                "segment_base_url": entry.base_url,
                "segment_region": entry.region,
                "warehouse_url": entry.warehouse_url,
            }
            if entry.region and not entry.base_url:
                changes["segment_base_url"] = None  # of the environment, or of all spaces: the region is more specific
            changes |= {name: value for name, value in set_here.items() if value is not None}
        return self._config.with_account(self._naming(account, owner), **changes)

    def settings_of_account(self, name: str) -> Config:
        """Returns the settings of an account, by its name in the file. Raises KeyError."""
        account = self._current().accounts[name]
        return self._config.with_account(self._naming(account, ""), **_account_changes(account.entry))

    def has_dialect(self, space_id: str) -> bool:
        """Returns whether the file says in which dialect a space is asked."""
        file = self._current().file
        space = file.spaces.get(space_id)
        return bool((space and space.dialect) or file.default.dialect)

    def warehouse_url(self, space_id: str) -> SecretStr | None:
        """Returns the URL of the warehouse that has a space's profiles; None if the file names none."""
        file = self._current().file
        space = file.spaces.get(space_id)
        return (space and space.warehouse_url) or file.default.warehouse_url

    def _account_for(self, version: _Version, space_id: str, owner: str) -> _Account:
        """Returns the account of a sync. A key that was replaced by one in the file may still own syncs."""
        if owner in version.by_name:
            return version.by_name[owner]
        name = version.file.account_of(space_id)
        account = version.accounts.get(name)
        if account is None or (owner and owner != account.base_name):
            if account is not None:
                problem = f"the sync of {space_id} belongs to the account {owner}, which SPACES_FILE lacks"
            elif name == DEFAULT:
                problem = f"neither SPACES_FILE nor MAVERA_API_KEY has a Mavera account for the space {space_id}"
            else:
                problem = f"SPACES_FILE has no account {name}, which gets the personas of the space {space_id}"
            hint = "Add the account and its key to SPACES_FILE."
            raise ResumableStop("account_not_configured", problem, hint=hint)
        return account

    def _naming(self, account: _Account, owner: str) -> NamedAccount | None:
        """Returns how records of an account are named; None: by base URL and key."""
        if owner and owner != account.name:
            return NamedAccount(owner)  # a sync from before the file
        if account.name == account.base_name:
            return None
        name = account.name

        def owns(space_id: str) -> bool:
            return self.account_of(space_id) == name

        return NamedAccount(name, account.base_name, owns)

    def _current(self) -> _Version:
        self.file.current()
        if self.file.version != self._version.number:
            self._version = self._read()
        return self._version

    def _read(self) -> _Version:
        version = _Version(self.file.version, self.file.current())
        entries = dict(version.file.accounts)
        if self._config.mavera_api_key is not None or not self.file.needs_secrets:
            entries.setdefault(DEFAULT, AccountEntry.model_construct())
        for name, entry in entries.items():
            key = entry.api_key or (self._config.mavera_api_key if name == DEFAULT else None)
            text = key.get_secret_value() if key else ""
            base_name = account_name(entry.base_url or self._config.mavera_base_url, text)
            keeps_name = name == DEFAULT or entry.records is not None
            account = _Account(
                entry.model_copy(update={"api_key": key}),
                base_name,
                base_name if keeps_name else file_account_name(name, text),
            )
            version.accounts[name] = account
            if key is not None:
                version.by_name[account.name] = account
        self._known |= dict.fromkeys(version.by_name)
        self._known |= dict.fromkeys(one.base_name for one in version.by_name.values())
        return version


def _account_changes(entry: AccountEntry) -> dict[str, object]:
    values = {"mavera_base_url": entry.base_url, "mavera_rate": entry.rate, "mavera_gap_s": entry.gap_s}
    given = {name: value for name, value in values.items() if value is not None}
    return {"mavera_api_key": entry.api_key, **given}  # never the key of another account


def open_spaces(config: Config, *, needs_secrets: bool = True) -> SpaceDirectory[Config] | None:
    """Reads `SPACES_FILE`; returns None if it is not set.

    Args:
        config: Settings of the process.
        needs_secrets: Whether every secret must be readable. A client needs none.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    if config.spaces_file is None:
        return None
    key = config.mavera_api_key.get_secret_value() if config.mavera_api_key else ""
    fallbacks = Fallbacks(token=getattr(config, "segment_token", None) is not None, api_key=key)
    return SpaceDirectory(config, WatchedSpacesFile(config.spaces_file, fallbacks, needs_secrets=needs_secrets))
