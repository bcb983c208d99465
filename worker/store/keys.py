"""The names of our keys in Redis, and what each holds.

| key | type | holds |
|---|---|---|
| `sp:sync:{id}` | hash | state, epoch, checkpoint with its statistics, and times of one sync |
| `sp:sync:{id}:outcomes` | hash | cluster → what became of its persona |
| `sp:syncs` | sorted set | sync ids by creation time |
| `sp:due` | sorted set | running syncs, and outstanding batches (`{id} {slot}`), by the time at which silence counts |
| `sp:active:{identity}` | sorted set | running syncs of one space, collection and rules, by the time they began |
| `sp:history:{identity}` | list | snapshots of the last complete syncs, newest first; never expires |
| `sp:request:{key}`, `sp:request:{account}:{key}` | string | the sync that an idempotency key started; kept as it is |
| `sp:queue:{account}` | sorted set | arq's queue of a Mavera account: job ids by the time at which they may start |
| `sp:queue` | sorted set | jobs of syncs that name no account yet: any worker may take them |
| `sp:queue:later`, `sp:queue:{account}:later` | sorted set | finalizers of that queue that wait until a time, by it |
| `sp:wake`, `sp:wake:{account}` | list | tokens that wake the workers of a queue |
| `sp:limit:{scope}` | hash | last slot of a rate limit, and what the API said of it; its times are in microseconds |
| `sp:limit:{scope}:log` | list | slots given out in the window |
| `sp:personas:{account}` | hash | reference → persona; never expires |
| `sp:claim:{account}:{reference}` | hash | who is buying this persona, since when, and for how long; never expires |
| `sp:dialect:{digest}` | string | the dialect in which Segment answers for a space and URLs; never expires |
| `sp:run` | hash | the run of Redis that was last seen, and since when |
| `sp:watch` | string | the watcher's lock |
| `sp:workers`, `sp:workers:{account}` | sorted set | workers by their last sign of life: all, and an account's |
| `sp:clock` | hash | sorted set → the time at which the watcher last looked at it |
| `sp:host:{host}` | string | a worker on this host is alive |

arq adds `arq:job:{id}`, `arq:in-progress:{id}` and `arq:retry:{id}`. All other times are milliseconds by Redis' clock.
`REDIS_PREFIX` stands before all of these names (`prefix.py`). `{account}` is `store.personas.account_name`.

Scripts declare the keys that their caller can name. Others follow from what stands in Redis, so scripts touch them
without a declaration: `arq:…` of a job that is replaced or ended, `sp:active:…`, `sp:sync:…:outcomes`, `sp:request:…`
and the queue of a sync's account. A cluster does not allow that, and Dragonfly does with
`--default_lua_flags=allow-undeclared-keys`.
"""

from __future__ import annotations

QUEUE = "sp:queue"
WAKE = "sp:wake"
CLOCK = "sp:clock"
DUE = "sp:due"
SYNCS = "sp:syncs"
RUN = "sp:run"
WATCH = "sp:watch"
WORKERS = "sp:workers"

SLOTS = 32
"""Batches of pages that a fan-out sync may have listed and not yet counted."""


def queue(account: str) -> str:
    """The queue of an account; without one, of the jobs that any worker may take."""
    return f"{QUEUE}:{account}" if account else QUEUE


def later(account: str) -> str:
    """The finalizers in `queue(account)` that wait for a time."""
    return f"{queue(account)}:later"


def wake(account: str) -> str:
    """The tokens that wake the workers of `queue(account)`."""
    return f"{WAKE}:{account}" if account else WAKE


def workers(account: str) -> str:
    """The living workers of an account; without one, all."""
    return f"{WORKERS}:{account}" if account else WORKERS


def sync(sync_id: str) -> str:
    """The hash of one sync."""
    return f"sp:sync:{sync_id}"


def outcomes(sync_id: str) -> str:
    """What became of each cluster of one sync."""
    return f"sp:sync:{sync_id}:outcomes"


def active(identity: str) -> str:
    """The running syncs of one identity (`SyncRequest.identity`)."""
    return f"sp:active:{identity}"


def history(identity: str) -> str:
    """What the space of one identity was like, as the last complete syncs have read it."""
    return f"sp:history:{identity}"


def request(idempotency_key: str, account: str = "") -> str:
    """The sync that this idempotency key started, for an account or for none."""
    return f"sp:request:{account}:{idempotency_key}" if account else f"sp:request:{idempotency_key}"


def limit(scope: str) -> str:
    """The state of one rate limit."""
    return f"sp:limit:{scope}"


def personas(account: str) -> str:
    """Every persona that we know of in one Mavera account."""
    return f"sp:personas:{account}"


def claim(account: str, reference: str) -> str:
    """The claim on one persona."""
    return f"sp:claim:{account}:{reference}"


def dialect(digest: str) -> str:
    """The dialect in which a space is asked; digest: of the space and the URLs."""
    return f"sp:dialect:{digest}"


def host(name: str) -> str:
    """A worker's sign of life on the host `name`."""
    return f"sp:host:{name}"
