"""What the commands about syncs do, after their options are read: ask, follow, show, and say how to go on.

Each returns its exit code. Results go to standard output; progress, hints and remarks to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from producer import history as remembered
from producer.asking import SyncOptions, enqueue, front_door, redis_client, requests_for
from producer.client import SyncClient
from producer.confirm import confirm
from producer.follow import START_A_WORKER, Follower
from producer.planned import what
from producer.progress import progress
from producer.render import listing, report
from producer.result import document, exit_code, local_time, row, skips_part, to_json
from producer.screen import Screen, show_log, stderr, stdout
from worker.settings import Settings, load_settings
from worker.sync import Sync, SyncState, identity

NO_LONGER_FOLLOWING = 130
NOT_AGREED = 3
NOT_FROM_A_PART = (
    "Only a part of the space was read, so no persona was created from it. Read all of it, or add --allow-partial to "
    "create personas from this part."
)


@dataclass(frozen=True)
class Ending:
    """How following ended. syncs: as last seen. stopped: why, if they have not all ended."""

    syncs: list[Sync]
    stopped: str = ""


def run(command: Callable[[Settings, Screen], Coroutine[Any, Any, int]]) -> int:
    """Runs a command with this process's settings. SIGTERM stops it as Ctrl-C does."""
    settings, err = load_settings(), stderr()
    show_log(err, settings.log_level if "log_level" in settings.model_fields_set else "ERROR")

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(NotImplementedError):  # no such thing on Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await command(settings, err)
        except asyncio.CancelledError:
            return NO_LONGER_FOLLOWING  # before there was anything to follow

    return asyncio.run(main())


async def sync(settings: Settings, err: Screen, options: SyncOptions) -> int:
    """Asks for a sync of each space, or a preview, and follows them to their end.

    Someone at a terminal is shown the plans first, and asked before anything is paid for.
    """
    asks = options.asks(err)
    requests = requests_for(settings, options, plan_only=options.preview or asks)
    in_process = options.in_process(settings)
    async with front_door(settings, err, options, [request.space_id for request in requests]) as client:
        syncs = await enqueue(client, err, requests, options)
        if not options.wait:
            await _hint_at_workers(client, err)
            _print_asked(syncs, json=options.json, many=len(syncs) > 1)
            return 0
        ending = await _follow(client, syncs, err, options.timeout_s, in_process)
        if asks and not ending.stopped:
            agreed = await _agreed(client, ending.syncs, err, kept=not in_process)
            if agreed is None:
                return NOT_AGREED
            ending = await _follow(client, agreed, err, options.timeout_s, in_process)
    code = _finish(ending, err, kept=not in_process, json=options.json, many=len(requests) > 1)
    if options.sandbox and not options.json and not ending.stopped:
        err.say("\nThe same as JSON (--json):", "dim")
        _write_json(stdout(), ending.syncs, len(requests) > 1)
    return code


async def apply(
    settings: Settings,
    err: Screen,
    sync_id: str,
    *,
    accept: bool,
    allow_partial: bool,
    max_credits: int | None,
    wait: bool,
    json: bool,
    timeout_s: float,
) -> int:
    """Makes the personas that a preview planned, and follows the sync to its end."""
    async with redis_client(settings) as client:
        await _warn_of_newer(client, await client.get(sync_id), err)
        found = await client.apply(sync_id, accept=accept, max_credits=max_credits, allow_partial=allow_partial)
        return await _carry_on(client, found, err, wait=wait, json=json, timeout_s=timeout_s)


async def status(settings: Settings, err: Screen, sync_id: str, *, json: bool, follow: bool, timeout_s: float) -> int:
    """Shows a sync as it stands, or follows it to its end."""
    async with redis_client(settings) as client:
        found = await client.get(sync_id)
        if follow:
            ending = await _follow(client, [found], err, timeout_s, in_process=False)
            return _finish(ending, err, kept=True, json=json)
        if not found.state.is_final:
            await _hint_at_workers(client, err)
        _show([found], err, json=json, now=await client.now())
        return exit_code([found])


async def listed(settings: Settings, err: Screen, *, json: bool, limit: int) -> int:
    """Shows the newest syncs."""
    async with redis_client(settings) as client:
        found = await client.list(limit)
        now = await client.now()
    out = stdout()
    if json:
        out.write(to_json([row(one, now) for one in found]))
    elif found:
        out.put(listing(found, out.width))
    else:
        err.say("No sync is known. Start one: segment-personas sync SPACE_ID")
    return 0


async def history(settings: Settings, err: Screen, space_id: str, *, collection: str, rules: str, json: bool) -> int:
    """Shows what the last complete syncs of a space have read."""
    async with redis_client(settings) as client:
        found = await client.history(identity(space_id, collection, rules))
    out = stdout()
    if json:
        out.write(to_json(map(remembered.document, found)))
    elif found:
        out.put(remembered.table(found))
    else:
        err.say(f"No complete sync of {space_id} ({collection}, rules {rules}) is remembered.")
    return 0


async def cancel(settings: Settings, err: Screen, sync_id: str) -> int:
    """Stops a sync."""
    async with redis_client(settings) as client:
        found = await client.cancel(sync_id)
    err.say(f"{found.id} is {found.state.value}. Personas that were made stay.")
    return 0


async def resume(
    settings: Settings,
    err: Screen,
    sync_id: str,
    *,
    restart: bool,
    accept: bool,
    max_credits: int | None,
    wait: bool,
    json: bool,
    timeout_s: float,
) -> int:
    """Goes on with a failed sync, and follows it to its end."""
    async with redis_client(settings) as client:
        found = await client.resume(sync_id, restart=restart, accept=accept, max_credits=max_credits)
        return await _carry_on(client, found, err, wait=wait, json=json, timeout_s=timeout_s)


async def _carry_on(client: SyncClient, found: Sync, err: Screen, *, wait: bool, json: bool, timeout_s: float) -> int:
    """Follows a sync that goes on, or says at once that it does."""
    if not wait:
        await _hint_at_workers(client, err)
        _print_asked([found], json=json)
        return 0
    ending = await _follow(client, [found], err, timeout_s, in_process=False)
    return _finish(ending, err, kept=True, json=json)


async def _agreed(client: SyncClient, syncs: Sequence[Sync], err: Screen, *, kept: bool) -> list[Sync] | None:
    """Shows what is planned, asks if it costs something, and applies it. None: it is not to be done."""
    planned = [(sync, sync.planned) for sync in syncs if sync.planned]
    if any(plan.credits or plan.alarms for _, plan in planned):
        for sync, _ in planned:
            stdout().put(*report(sync))
        over = [sync for sync, plan in planned if plan.over_budget]
        try:
            part = " (only a part of the space was read)" if any(sync.plans_from_part for sync in syncs) else ""
            agreed = not over and await confirm(err, f"{what([plan for _, plan in planned]).capitalize()}{part}?")
        except asyncio.CancelledError:  # Ctrl-C or SIGTERM. Not raised again: the hints are still to be told.
            err.say("")
            agreed = False
        if not agreed:
            for sync, _ in planned:
                err.say(_way_to_apply(sync, kept))
            return None
    return [
        await client.apply(sync.id, accept=True, allow_partial=sync.plans_from_part) if sync.planned else sync
        for sync in syncs
    ]


async def _warn_of_newer(client: SyncClient, preview: Sync, err: Screen) -> None:
    """Says if the space has been read anew since."""
    if preview.planned is None or preview.fetched_at is None:
        return
    newest = next(iter(await client.history(preview.request.identity)), None)
    if newest and newest.read_to > preview.fetched_at:
        err.say(
            f"Careful: {preview.id} is from {local_time(preview.fetched_at)}; {newest.sync_id} has read the space "
            f"since, at {local_time(newest.read_to)}. The personas will say what was true before."
        )


async def _hint_at_workers(client: SyncClient, err: Screen) -> None:
    if not await client.workers():
        err.say(f"No worker is alive, so nothing happens yet. {START_A_WORKER}")


async def _follow(client: SyncClient, syncs: Sequence[Sync], err: Screen, timeout_s: float, in_process: bool) -> Ending:
    with progress(err) as shown:
        follower = Follower(client, syncs, shown, watch_workers=not in_process)
        try:
            await follower.run(timeout_s)
        except TimeoutError:
            return Ending(follower.syncs, f"{timeout_s:g} s are over")
        except asyncio.CancelledError:
            # Ctrl-C or SIGTERM. Not raised again: what was asked for is done when the hints are told.
            if in_process:
                shown.say("Stopping …")
            return Ending(follower.syncs, "Interrupted")
    return Ending(follower.syncs)


def _finish(ending: Ending, err: Screen, *, kept: bool, json: bool, many: bool = False) -> int:
    """Shows how it ended and how to go on. kept: whether the syncs outlive this process."""
    if json or not ending.stopped:
        _show(ending.syncs, err, json=json, many=many, kept=kept)
    if not ending.stopped:
        return exit_code(ending.syncs)
    running = [sync for sync in ending.syncs if not sync.state.is_final]
    if not kept:
        err.say(f"{ending.stopped}: stopped, and the state is gone. Personas that were made stay.")
        return NO_LONGER_FOLLOWING
    err.say(
        f"{ending.stopped}: no longer following; {'it goes' if len(running) == 1 else 'they go'} on. To follow again:"
    )
    for sync in running:
        err.say(f"  segment-personas status {sync.id} --follow")
    err.say("To stop:")
    for sync in running:
        err.say(f"  segment-personas cancel {sync.id}")
    return NO_LONGER_FOLLOWING


def _show(
    syncs: Sequence[Sync],
    err: Screen,
    *,
    json: bool,
    many: bool = False,
    kept: bool = True,
    now: float | None = None,
) -> None:
    out = stdout()
    if json:
        _write_json(out, syncs, many, now)
    else:
        for sync in syncs:
            out.put(*report(sync, now))
    for sync in syncs:
        if sync.state is SyncState.FAILED:
            err.say(_way_out(sync, kept))
        if sync.planned:
            err.say(_way_to_apply(sync, kept))
        if skips_part(sync):
            err.say(NOT_FROM_A_PART)


def _write_json(out: Screen, syncs: Sequence[Sync], many: bool, now: float | None = None) -> None:
    documents = [document(sync, now) for sync in syncs]
    out.write(to_json(documents if many else documents[0]))


def _way_out(sync: Sync, kept: bool) -> str:
    if not kept:
        return "Once that is mended, run the command again: personas that were made are updated, not bought again."
    if sync.error and sync.error.resumable:
        return f"Once that is mended, go on where it stopped:\n  segment-personas resume {sync.id}"
    return f"To read the space from the start:\n  segment-personas resume {sync.id} --restart"


def _way_to_apply(sync: Sync, kept: bool) -> str:
    """That nothing was made, and how it would be."""
    plan = sync.planned
    assert plan is not None
    if plan.over_budget:
        said = f"Nothing was made: {plan.credits:,} credits are over the budget of {plan.max_credits:,}."
        option = f" --max-credits {plan.credits}"
    else:
        said, option = f"Nothing was made. What it would do: {what([plan])}.", ""
    if plan.alarms:
        option += " --accept"
    if sync.plans_from_part:
        option += " --allow-partial"
    if not kept:
        return f"{said}\nTo do it: segment-personas sync{option} (the numbers are gone with this process)"
    return f"{said} To do it, without reading the space again:\n  segment-personas apply {sync.id}{option}"


def _print_asked(syncs: Sequence[Sync], *, json: bool, many: bool = False) -> None:
    out = stdout()
    if json:
        _write_json(out, syncs, many)
    else:
        for sync in syncs:
            out.write(sync.id)
