"""Lua scripts with a Python face: named keys and arguments, one place for encoding, `EVALSHA` with a fallback.

Each script is a file in `lua/`. `prelude.lua` is put before every one of them. A script checks everything first and
writes then; its first write is one that Redis refuses when memory is out, so it happens as a whole or not at all.
Numbers go in as integers or `%.17g`; no script turns a float into text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from worker.errors import PersonasError
from worker.store.pool import StorePool

Argument = str | bytes | int | float | bool | None


@cache
def _source(name: str) -> tuple[str, str]:
    """Text and SHA-1 of a script; the digest is Redis' own name for it."""
    folder = files("worker.store") / "lua"
    text = "\n".join((folder / f"{part}.lua").read_text() for part in ("prelude", name))
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _encode(value: Argument) -> str | bytes | int:
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return f"{value:.17g}"
    return value


async def run_script(pool: StorePool, name: str, keys: Sequence[str], *arguments: Argument) -> list[Any]:
    """Runs `lua/{name}.lua` and returns its answer: a list whose first entry is a word, as text.

    Safe to repeat if the answer is lost: each script recognises its own earlier run. Raises PersonasError if a key
    holds what is not ours; nothing was written then.
    """
    text, digest = _source(name)
    encoded = [_encode(argument) for argument in arguments]
    try:
        answer = await pool.execute_command("EVALSHA", digest, len(keys), *keys, *encoded)
    except NoScriptError:
        answer = await pool.execute_command("EVAL", text, len(keys), *keys, *encoded)
    answer[0] = answer[0].decode()
    if answer[0] == "broken":
        raise PersonasError(f"Redis holds something that is not ours: {answer[1].decode(errors='replace')}")
    return list(answer)
