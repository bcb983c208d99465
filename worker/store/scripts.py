"""Lua scripts with a Python face: named keys and arguments, one place for encoding, `EVALSHA` with a fallback.

Each script is a file in `lua/`.
 `prelude.lua` is put before every one of them, and `SLOTS` and `PREFIX` before that. A
script checks everything first and writes then; its first write is one that Redis refuses when memory is out, so it
happens as a whole or not at all.
Numbers go in as integers or `%.17g`; no script turns a float into text.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from worker.errors import StoreUnusable
from worker.store import keys as key_names
from worker.store.connection.pool import StorePool

MENDED = tuple(f"{key}{end}" for key in (key_names.QUEUE, key_names.WAKE) for end in (" ", ":"))
"""Keys that workers make good themselves the next time they look at the queue; so a script waits for that."""
MENDED_S = (0.1, 0.3, 0.6)
"""Pauses before the script is run again, in seconds: a worker looks twice a second."""

Argument = str | bytes | int | float | bool | None


@cache
def _source(name: str, prefix: str = "") -> tuple[str, str]:
    """Text and SHA-1 of a script for the keys with `prefix`; the digest is Redis' own name for it."""
    folder = files("worker.store") / "lua"
    parts = [(folder / f"{part}.lua").read_text() for part in ("prelude", name)]
    text = "\n".join([f"local SLOTS = {key_names.SLOTS}", f"local PREFIX = '{prefix}'", *parts])
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

    Safe to repeat if the answer is lost: each script recognises its own earlier run. Raises StoreUnusable if a key
    holds what is not ours; nothing was written then.
    """
    text, digest = _source(name, pool.prefix)
    encoded = [_encode(argument) for argument in arguments]
    for pause_s in (*MENDED_S, None):
        try:
            answer = await pool.execute_command("EVALSHA", digest, len(keys), *keys, *encoded)
        except NoScriptError:
            answer = await pool.execute_command("EVAL", text, len(keys), *keys, *encoded)
        word = answer[0].decode()
        if word != "broken":
            return [word, *answer[1:]]
        what = answer[1].decode(errors="replace").removeprefix(pool.prefix)
        if pause_s is None or not what.startswith(MENDED):
            break
        await asyncio.sleep(pause_s)
    raise StoreUnusable(
        f"Redis holds something that is not ours: {pool.prefix}{what}. Move it away, or set another REDIS_PREFIX"
    )
