"""`REDIS_PREFIX`: the text before the name of every key, so that several deployments can share one Redis.

The names in `keys.py` and those of arq are written without it. It is added where a command leaves this process, and
scripts get it as `PREFIX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_WITHOUT_KEYS = frozenset(
    {
        *("PING", "INFO", "INFO SERVER", "TIME", "MULTI", "EXEC", "SELECT", "AUTH", "HELLO", "ECHO", "QUIT", "UNWATCH"),
        *("SCAN", "DBSIZE", "FLUSHALL", "FLUSHDB", "SCRIPT FLUSH", "SCRIPT LOAD", "CONFIG SET", "CONFIG GET", "DEBUG"),
        *("CLIENT LIST", "CLIENT KILL", "CLIENT ID", "CLIENT SETINFO", "CLIENT SETNAME", "COMMAND", "MEMORY STATS"),
    }
)
_ONLY_KEYS = frozenset({"DEL", "UNLINK", "EXISTS", "WATCH", "MGET", "TOUCH"})
_KEYS_AND_TIMEOUT = frozenset({"BLPOP", "BRPOP"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})


def add_prefix(prefix: str, args: Sequence[Any]) -> tuple[Any, ...]:
    """Adds the prefix to the keys of a command.

    Args:
        prefix: Text before each key; empty for none.
        args: Name of the command and its arguments.

    Returns:
        The name and the arguments, with the prefix before each key.
    """
    if not prefix or len(args) < 2:
        return tuple(args)
    name = str(args[0]).upper()
    if name in _WITHOUT_KEYS:
        return tuple(args)
    first, last = 1, 2
    if name in _ONLY_KEYS:
        last = len(args)
    elif name in _KEYS_AND_TIMEOUT:
        last = len(args) - 1
    elif name in _SCRIPTS:
        first, last = 3, 3 + int(args[2])
    return (*args[:first], *(_with(prefix, key) for key in args[first:last]), *args[last:])


def _with(prefix: str, key: Any) -> Any:
    return prefix.encode() + bytes(key) if isinstance(key, bytes | bytearray | memoryview) else f"{prefix}{key}"
