"""The settings of a process: the fields with their defaults and checks, and how they are read from the environment."""

from worker.settings.loading import (
    load_client_config,
    load_settings,
    read_settings,
    secret_settings,
    unknown_settings,
)
from worker.settings.settings import (
    CLAIM_DEADLINE_S,
    ClientConfig,
    Dialect,
    FixedDialect,
    NamedAccount,
    Settings,
)

__all__ = [
    "CLAIM_DEADLINE_S",
    "ClientConfig",
    "Dialect",
    "FixedDialect",
    "NamedAccount",
    "Settings",
    "load_client_config",
    "load_settings",
    "read_settings",
    "secret_settings",
    "unknown_settings",
]
