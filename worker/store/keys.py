"""The names of our keys in Redis, and what each holds.

| key | type | holds |
|---|---|---|
| `sp:sync:{id}` | hash | state, epoch, checkpoint with its statistics, and times of one sync |
| `sp:sync:{id}:outcomes` | hash | cluster → what became of its persona |
| `sp:syncs` | sorted set | sync ids by creation time |
| `sp:due` | sorted set | running syncs, and outstanding batches (`{id} {slot}`), by the time at which silence counts |
| `sp:active:{identity}` | sorted set | running syncs of one space, collection and rules, by the time they began |
| `sp:history:{identity}` | list | snapshots of the last complete syncs, newest first; never expires |
| `sp:request:{key}`, `sp:request:{account}:{key}` | string | the sync that an idempotency key started; kept unchanged |
| `sp:inbox` | list | requests that other programs put there, oldest first (docs/other-languages.md) |
| `sp:answer:{id}` | string | what became of such a request; kept as long as an ended sync |
| `sp:queue:{account}` | sorted set | arq's queue of a Mavera account: job ids by the time at which they may start |
| `sp:queue` | sorted set | jobs of syncs that name no account yet: any worker may take them |
| `sp:queue:later`, `sp:queue:{account}:later` | sorted set | finalizers of that queue that wait until a time, by it |
| `sp:wake`, `sp:wake:{account}` | list | tokens that wake the workers of a queue |
| `sp:limit:{scope}` | hash | last slot of a rate limit, and what the API said of it; its times are in microseconds |
| `sp:limit:{scope}:log` | list | slots given out in the window |
| `sp:personas:{account}` | hash | reference → persona; never expires |
| `sp:claim:{account}:{reference}` | hash | who is buying this persona, since when, and for how long; never expires |
| `sp:dialect:{digest}` | string | the dialect in which Segment answers for a space and URLs; never expires |
| `sp:schedule:{id}` | hash | a schedule, the tick that comes next, and what became of the last one; never expires |
| `sp:schedules` | sorted set | ids of schedules by the time they were added |
| `sp:ticks` | sorted set | ids of schedules by the time of their next tick |
| `sp:overdue` | sorted set | ids of schedules with `--alert-after` by the time of their next check |
| `sp:webhooks`, `sp:webhooks:{account}` | hash | workers of the account deliver events; what they could not deliver |
| `sp:outbox`, `sp:outbox:{account}` | sorted set | ids of events by the time of their next attempt |
| `sp:event:{id}`, `…:sync`, `…:outcomes` | hash | an event, and copies of its sync's hashes; expires after three days |
| `sp:alerts:{account}` | hash | alerts of the account that were sent and have not ended; never expires |
| `sp:run` | hash | the run of Redis that was last seen, and since when |
| `sp:watch` | string | the watcher's lock |
| `sp:workers`, `sp:workers:{account}` | sorted set | workers by their last sign of life: all, and an account's |
| `sp:clock` | hash | sorted set → the time at which the watcher last looked at it; `spared`, see `lock_watch.lua` |
| `sp:host:{host}` | string | a worker on this host is alive |

arq adds `arq:job:{id}`, `arq:in-progress:{id}` and `arq:retry:{id}`. All other times are milliseconds by the clock of
Redis. `REDIS_PREFIX` precedes all of these names (`connection/prefix.py`). `{account}` is `personas/account_name.py`.

Undeclared keys: a script declares the keys that its caller can name (`KEYS`). Others follow from what Redis holds,
and are built in Lua (`lua/lib/`): `arq:…` of a job that is replaced or has ended, `sp:sync:{id}` of another sync of
an identity, `sp:sync:{id}:outcomes`, `sp:schedule:{id}` of a schedule that is due, `sp:active:…`, `sp:syncs`,
`sp:request:…`, `sp:queue:…`, `sp:wake:…`, `sp:webhooks…`, `sp:outbox…` and `sp:event:…` of a sync's account, and
`…:later` of a queue. So a cluster cannot be used, and Dragonfly only with
`--default_lua_flags=allow-undeclared-keys`.

Version: Redis 6.2 or later (tested with 7.0), or Valkey 7.2 or later. Scripts write after `TIME`, which needs the
replication of effects (the default since Redis 5.0); workers wait with `BLPOP` for a fraction of a second (6.0).
"""

from __future__ import annotations

from typing import NewType

# The Redis type of a key is part of its Python type, so that mypy finds a key that is passed for another.
HashKey = NewType("HashKey", str)
SortedSetKey = NewType("SortedSetKey", str)
ListKey = NewType("ListKey", str)
StringKey = NewType("StringKey", str)

QUEUE = SortedSetKey("sp:queue")
WAKE = ListKey("sp:wake")
CLOCK = HashKey("sp:clock")
DUE = SortedSetKey("sp:due")
INBOX = ListKey("sp:inbox")
SYNCS = SortedSetKey("sp:syncs")
SCHEDULES = SortedSetKey("sp:schedules")
TICKS = SortedSetKey("sp:ticks")
OVERDUE = SortedSetKey("sp:overdue")
RUN = HashKey("sp:run")
WATCH = StringKey("sp:watch")
WORKERS = SortedSetKey("sp:workers")

SLOTS = 32
"""Batches of pages that a fan-out sync may have listed and not yet counted."""


def queue(account: str) -> SortedSetKey:
    """Returns the queue of an account; without one, the queue of jobs that any worker may take."""
    return SortedSetKey(f"{QUEUE}:{account}") if account else QUEUE


def later(account: str) -> SortedSetKey:
    """Returns the finalizers in `queue(account)` that wait for a time."""
    return SortedSetKey(f"{queue(account)}:later")


def wake(account: str) -> ListKey:
    """Returns the tokens that wake the workers of `queue(account)`."""
    return ListKey(f"{WAKE}:{account}") if account else WAKE


def workers(account: str) -> SortedSetKey:
    """Returns the living workers of an account; without one, of all."""
    return SortedSetKey(f"{WORKERS}:{account}") if account else WORKERS


def sync(sync_id: str) -> HashKey:
    """Returns the hash of one sync."""
    return HashKey(f"sp:sync:{sync_id}")


def outcomes(sync_id: str) -> HashKey:
    """Returns what became of each cluster of one sync."""
    return HashKey(f"sp:sync:{sync_id}:outcomes")


def active(identity: str) -> SortedSetKey:
    """Returns the running syncs of one identity (`SyncRequest.identity`)."""
    return SortedSetKey(f"sp:active:{identity}")


def history(identity: str) -> ListKey:
    """Returns the snapshots of one identity's last complete syncs."""
    return ListKey(f"sp:history:{identity}")


def request(idempotency_key: str, account: str = "") -> StringKey:
    """Returns the sync that this idempotency key started, for an account or for none."""
    return StringKey(f"sp:request:{account}:{idempotency_key}" if account else f"sp:request:{idempotency_key}")


def answer(document_id: str) -> StringKey:
    """Returns the answer to a document of the inbox."""
    return StringKey(f"sp:answer:{document_id}")


def schedule(schedule_id: str) -> HashKey:
    """Returns the hash of one schedule."""
    return HashKey(f"sp:schedule:{schedule_id}")


def webhooks(account: str) -> HashKey:
    """Returns what is known of the delivery of an account's events; without one, of syncs that name none."""
    return HashKey(f"sp:webhooks:{account}" if account else "sp:webhooks")


def outbox(account: str) -> SortedSetKey:
    """Returns the events of an account that wait for their delivery; without one, of syncs that name none."""
    return SortedSetKey(f"sp:outbox:{account}" if account else "sp:outbox")


def event(event_id: str) -> HashKey:
    """Returns one event."""
    return HashKey(f"sp:event:{event_id}")


def alerts(account: str) -> HashKey:
    """Returns the alerts of one account."""
    return HashKey(f"sp:alerts:{account}")


def limit(scope: str) -> HashKey:
    """Returns the state of one rate limit."""
    return HashKey(f"sp:limit:{scope}")


def limit_log(scope: str) -> ListKey:
    """Returns the slots of one rate limit that were given out in the window."""
    return ListKey(f"{limit(scope)}:log")


def personas(account: str) -> HashKey:
    """Returns every persona that is known in one Mavera account."""
    return HashKey(f"sp:personas:{account}")


def claim(account: str, reference: str) -> HashKey:
    """Returns the claim on one persona."""
    return HashKey(f"sp:claim:{account}:{reference}")


def dialect(digest: str) -> StringKey:
    """Returns the dialect in which a space is asked.

    Args:
        digest: Digest of the space and the URLs.
    """
    return StringKey(f"sp:dialect:{digest}")


def host(name: str) -> StringKey:
    """Returns the heartbeat of a worker on the host `name`."""
    return StringKey(f"sp:host:{name}")
