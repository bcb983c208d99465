"""A Lua script with a typed Python face: the signature of a function is the contract of the script.

    @lua_script("sync/heartbeat")
    async def heartbeat(
        pool: StorePool, *, sync: HashKey, due: SortedSetKey, lease: LeaseGrant, silent_ms: int, note: str
    ) -> None:
        \"\"\"Postpones the time at which the job's silence counts.\"\"\"

The function has no body: a call runs `lua/sync/heartbeat.lua`. A generated header declares each parameter as a Lua
local of its name, and checks that each key holds the type that its annotation names, so neither side lists positions.
Before the header come the number of slots, the key prefix and what the script uses of `lua/lib/`.

Redis has no rollback, so a script checks everything first and writes then. Its first write is one that Redis refuses
when memory is out; so a script happens as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from inspect import signature
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from redis.exceptions import NoScriptError

from worker.models.versions import FORMAT, WRITTEN_FORMAT
from worker.store import keys as key_names
from worker.store.connection.errors import foreign_key_error
from worker.store.connection.pool import StorePool
from worker.store.typed_script.answers import BROKEN, Answers
from worker.store.typed_script.arguments import Encoded, Rows, Shape, shape_of

LIBRARY = ("frame", "outbox", "job_queue", "batch", "sync", "schedule", "rate_limit")
"""Files of `lua/lib/`, in this order: a definition uses only those above it. Each begins a line with `local`."""

_DEFINITION = re.compile(r"^(?=local )", re.MULTILINE)
_DECLARED = re.compile(r"local (?:function )?(\w+(?:, \w+)*)")
_WORD = re.compile(r"\w+")

REPAIRED = tuple(f"{key}{end}" for key in (key_names.QUEUE, key_names.WAKE) for end in (" ", ":"))
"""Keys that workers replace at their next poll of the queue if they hold another type; a script waits for that."""
REPAIR_PAUSES_S = (0.1, 0.3, 0.6)
"""Pauses before the script runs again, in seconds: a worker looks twice a second."""

_KEY_TYPES: dict[Any, str] = {
    key_names.HashKey: "hash",
    key_names.SortedSetKey: "zset",
    key_names.ListKey: "list",
    key_names.StringKey: "string",
}

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")

UNCHECKED = "unchecked"
Unchecked = Annotated[K, UNCHECKED]
"""A key whose type the script itself checks, because another type must not stop it."""


@dataclass(frozen=True)
class KeyParameter:
    """A parameter that is a key, or several (`many`).

    Attributes:
        redis_type: As for `TYPE`. Empty: not checked.
    """

    name: str
    redis_type: str
    many: bool


@dataclass(frozen=True)
class Signature:
    """The contract of a script: its keys, its arguments, and its answers."""

    keys: tuple[KeyParameter, ...]
    arguments: tuple[tuple[str, Shape | Rows], ...]
    answers: Answers

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Signature:
        """Reads the annotations of a function, whose first parameter is the pool.

        Raises:
            TypeError: A parameter is neither a key nor an argument, or follows one of any number.
        """
        hints = get_type_hints(function, include_extras=True)
        names = list(signature(function).parameters)[1:]
        keys = [key for name in names if (key := _key(name, hints[name]))]
        arguments = [(name, shape_of(hints[name])) for name in names if not _key(name, hints[name])]
        if any(key.many for key in keys[:-1]) or any(isinstance(shape, Rows) for _, shape in arguments[:-1]):
            raise TypeError(f"{function.__name__}: only the last key or argument may be of any number")
        return cls(tuple(keys), tuple(arguments), Answers.of(hints["return"]))

    def header(self) -> str:
        """Returns the Lua text that declares the parameters as locals and checks the types of the keys."""
        lines = []
        for number, key in enumerate(self.keys, 1):
            lines.append(
                f"local {key.name} = {{ unpack(KEYS, {number}) }}" if key.many else f"local {key.name} = KEYS[{number}]"
            )
        first = 1
        for name, shape in self.arguments:
            if isinstance(shape, Rows):
                lines.append(f"local {name} = {shape.lua(first)}")
            else:
                lines.append(f"local {name} = {shape.lua(_entries_from(first))}")
                first += shape.size
        checked = [f"{key.name}, '{key.redis_type}'" for key in self.keys if key.redis_type]
        if checked:
            lines += [f"local broken = types({', '.join(checked)})", "if broken then return broken end"]
        return "\n".join(lines)

    def encode(self, values: dict[str, Any]) -> tuple[list[str], list[Encoded]]:
        """Returns `KEYS` and `ARGV` of a call."""
        keys = [name for key in self.keys for name in (values[key.name] if key.many else (values[key.name],))]
        return keys, [entry for name, shape in self.arguments for entry in shape.encode(values[name])]


class LuaScript(Generic[P, R]):
    """A script that is called like the function that declares it."""

    def __init__(self, name: str, function: Callable[Concatenate[StorePool, P], Coroutine[Any, Any, R]]) -> None:
        self.name = name
        self.signature = Signature.of(function)
        self.__doc__ = function.__doc__
        self.header = self.signature.header()

    async def __call__(self, pool: StorePool, *_: P.args, **values: P.kwargs) -> R:
        """Runs the script. Safe to repeat if the answer is lost: a script recognises its own earlier run.

        Raises:
            StoreUnusable: A key holds another type than the signature names. Nothing was written.
            LeaseLost: The job no longer owns the sync. Nothing was written.
        """
        keys, arguments = self.signature.encode(values)
        text, digest = script_text(self.name, pool.prefix, self.header)
        answer = await _run(pool, text, digest, keys, arguments)
        result: R = self.signature.answers.parse(self.name, answer)
        return result


def lua_script(
    name: str,
) -> Callable[[Callable[Concatenate[StorePool, P], Coroutine[Any, Any, R]]], LuaScript[P, R]]:
    """Declares the face of `lua/{name}.lua`: a function with keyword parameters after the pool, and no body."""
    return lambda function: LuaScript(name, function)


@cache
def script_text(name: str, prefix: str, header: str) -> tuple[str, str]:
    """Returns the whole text of a script for keys with `prefix`, and its SHA-1, by which Redis knows it."""
    numbers = f"local SLOTS, FORMAT, WRITTEN_FORMAT = {key_names.SLOTS}, {FORMAT}, {WRITTEN_FORMAT}"
    constants = f"{numbers}\nlocal PREFIX = '{prefix}'"
    script = f"{header}\n{read_lua(name)}"
    text = f"{constants}\n{_library_for(script)}{script}"
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _library_for(script: str) -> str:
    """Returns the definitions of the library that a script uses, directly or through others of them.

    Redis runs the whole text at each call: all definitions would take a quarter of the time of a limiter's slot.
    """
    words, used = set(_WORD.findall(script)), ""
    for names, definition in reversed(_library()):
        if not words.isdisjoint(names):
            words.update(_WORD.findall(definition))
            used = definition + used
    return used


@cache
def _library() -> list[tuple[list[str], str]]:
    """Returns the definitions of the library in their order: the names that each declares, and its text."""
    text = "\n".join(read_lua(f"lib/{part}") for part in LIBRARY)
    declared = ((_DECLARED.match(definition), definition) for definition in _DEFINITION.split(text))
    return [(found[1].split(", "), definition) for found, definition in declared if found]


@cache
def read_lua(name: str) -> str:
    """Returns the text of `lua/{name}.lua`."""
    return (files("worker.store") / "lua" / f"{name}.lua").read_text()


async def _run(pool: StorePool, text: str, digest: str, keys: Sequence[str], arguments: Sequence[Encoded]) -> list[Any]:
    for pause_s in (*REPAIR_PAUSES_S, None):
        try:
            answer: list[Any] = await pool.execute_command("EVALSHA", digest, len(keys), *keys, *arguments)
        except NoScriptError:
            answer = await pool.execute_command("EVAL", text, len(keys), *keys, *arguments)
        if answer[0] != BROKEN.encode():
            return answer
        found = answer[1].decode(errors="replace").removeprefix(pool.prefix)
        if pause_s is None or not found.startswith(REPAIRED):
            break
        await asyncio.sleep(pause_s)
    raise foreign_key_error(f"{pool.prefix}{found}")


def _key(name: str, annotation: Any) -> KeyParameter | None:
    """Returns the key that a parameter is, None if it is an argument."""
    many = get_origin(annotation) is tuple
    if many:
        annotation = get_args(annotation)[0]
    checked = get_origin(annotation) is not Annotated
    if not checked:
        annotation = get_args(annotation)[0]
    redis_type = _KEY_TYPES.get(annotation) if getattr(annotation, "__hash__", None) else None
    return KeyParameter(name, redis_type if checked else "", many) if redis_type else None


def _entries_from(first: int) -> Callable[[int], str]:
    return lambda number: f"ARGV[{first + number}]"
