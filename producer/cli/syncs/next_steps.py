"""Names the next step with its command: after a failure, after a plan, or when a command stops following.

Each command has the option without which it would end as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from producer.cli.command_lines import command, run_again
from producer.cli.views.plan import changes_personas, plan_summary
from worker.documents.sync_results import cluster_results, sync_statistics
from worker.mavera import CREDITS_PER_PERSONA
from worker.models.plan import Plan
from worker.models.sync import Sync, SyncState
from worker.segment.export_file import is_of_one_process

_READING = (SyncState.QUEUED, SyncState.FETCHING)


@dataclass(frozen=True)
class NextStep:
    """A next step for the user.

    Attributes:
        sentence: When or why to do it.
        commands: Lines for the shell; may be empty.
    """

    sentence: str
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((self.sentence, *(f"  {command}" for command in self.commands)))


def how_to_start_worker() -> NextStep:
    """Returns how to start a worker."""
    needed = "SEGMENT_TOKEN and MAVERA_API_KEY set, and REDIS_URL as here"
    return NextStep(f"Start one in another terminal, with {needed}:", (command("worker"),))


def how_to_start_schedules() -> NextStep:
    """Returns how to have the schedules of the state directory carried out."""
    worker, api = command("worker"), command("serve")
    return NextStep("Schedules start syncs only while one of these commands runs. Neither runs now:", (worker, api))


def continue_here(syncs: Sequence[Sync]) -> NextStep:
    """Returns how to continue syncs of the state directory on which no process works."""
    which = "this sync" if len(syncs) == 1 else "these syncs"
    return NextStep(f"No process works on {which} at the moment. To continue:", _each("resume", syncs))


def how_to_start_first_sync(space_id: str | None) -> NextStep:
    """Returns how to start the first sync.

    Args:
        space_id: The default space, if there is one.
    """
    if space_id:
        return NextStep("There are no syncs yet. To start one:", (command("sync"),))
    return NextStep("There are no syncs yet. How to start one:", (command("sync", "--help"),))


def after_failure(sync: Sync, arguments: Sequence[str] | None, typed: Sequence[str] = ()) -> NextStep:
    """Returns the next step after a sync has failed.

    Args:
        sync: The failed sync, with its error.
        arguments: The arguments of a command whose state ends with its process, else None.
        typed: What the user typed after the program's name, if this command started the sync.
    """
    assert sync.error is not None
    if arguments is None and _needs_own_input(sync):
        again = "Its input ended with the command that read it. After fixing this, run that command again"
        return NextStep(f"{again}:", (run_again(typed),)) if typed else NextStep(f"{again}.")
    source = sync.request.source_name
    code, accept = sync.error.code, sync.error.code.startswith("guard_")
    budget, ceiling = _needed_budget(sync) if code == "over_budget" else (None, None)
    if accept:
        when = f"If this is expected, continue without reading the {source} again:"
    elif ceiling is not None:
        when = f"MAX_CREDITS is {ceiling:,} where the worker runs. After raising it there:"
    elif budget is not None:
        when = "To raise the budget:"
    else:
        when = "After fixing this, continue where it stopped:"
    if arguments is not None:
        if accept:
            when = f"If this is expected, read the {source} again and accept it:"
        elif budget is None and ceiling is None:
            when = "After fixing this, run it again; personas already created are updated, not bought again:"
        return NextStep(when, (run_again(arguments, accept=accept, max_credits=budget),))
    if sync.error.needs_other_options:
        when = f"Other options need a new sync. If the {source} has changed, read it again from the start:"
        return NextStep(when, (command("resume", sync.id, "--restart"),))
    if not sync.error.resumable:
        return NextStep(f"To read the {source} again from the start:", (command("resume", sync.id, "--restart"),))
    options = ["--accept"] if accept else []
    if budget is not None:
        options += ["--max-credits", str(budget)]
    return NextStep(when, (command("resume", sync.id, *options),))


def after_plan(sync: Sync, arguments: Sequence[str] | None) -> NextStep:
    """Says that nothing was changed, and how to apply the plan.

    Args:
        sync: The preview, with its plan.
        arguments: As for `after_failure`.
    """
    plan, source = sync.planned, sync.request.source_name
    assert plan is not None
    budget = ceiling = None
    if plan.over_budget:
        budget, ceiling = _budget_of_plan(sync, plan)
        cost = f"the plan costs {plan.credits:,} credits, more than the budget of {plan.max_credits:,}"
        done = f"Nothing was changed: {cost}."
    else:
        does = plan_summary([plan]) if changes_personas(plan) else "no persona would change"
        done = f"Nothing was changed. The plan: {does}."
        if not changes_personas(plan) and not plan.alarms:
            return NextStep(done)
    if ceiling is not None:
        done += f" MAX_CREDITS is {ceiling:,} where the worker runs; raise it there first."
    accept, partial = bool(plan.alarms), sync.plans_from_part
    if partial:
        done += f" Only a part of the {source} was read, and the personas would describe this part."
    if arguments is None:
        options = [flag for wanted, flag in ((accept, "--accept"), (partial, "--allow-partial")) if wanted]
        if budget is not None:
            options += ["--max-credits", str(budget)]
        return NextStep(
            f"{done} To apply it without reading the {source} again:", (command("apply", sync.id, *options),)
        )
    again = run_again(arguments, name="sync", accept=accept, allow_partial=partial, max_credits=budget)
    return NextStep(f"{done} To read the {source} again and apply it:", (again,))


def after_partial_sync(sync: Sync, arguments: Sequence[str] | None) -> NextStep:
    """Returns how to create the personas that a sync left out because it read only a part of its space."""
    why = "Only a part of the space was read, so no persona was created from it."
    if arguments is not None:
        again = run_again(arguments, allow_partial=True)
        return NextStep(f"{why} To create personas from this part:", (again,))
    return NextStep(f"{why} Read all of it, or add --allow-partial to create personas from this part.")


def after_interruption(syncs: Sequence[Sync], condition: str = "") -> list[NextStep]:
    """Describes the syncs that run but that the command stopped following, and how to follow or stop them.

    Args:
        syncs: The syncs.
        condition: When they continue, such as "When a worker runs"; empty: they do so now.
    """
    plans = [sync for sync in syncs if sync.request.plan_only]
    others = [sync for sync in syncs if not sync.request.plan_only]
    steps = []
    if others:
        does = "the sync continues" if len(others) == 1 else "the syncs continue"
        sentence = _conditional(condition, f"{does} and will change personas")
        steps.append(NextStep(f"{sentence}. To follow again:", _each("status", others)))
    if plans:
        does = "the sync only reads" if len(plans) == 1 else "the syncs only read"
        sentence = _conditional(condition, f"{does} and will change no persona")
        steps.append(NextStep(f"{sentence}. To make the personas afterwards:", _each("apply", plans)))
        steps.append(NextStep("To follow again:", _each("status", plans)))
    steps.append(NextStep("To stop:", _each("cancel", syncs)))
    return steps


def after_stopping(syncs: Sequence[Sync], typed: Sequence[str]) -> list[NextStep]:
    """Returns what becomes of running syncs on which no process works after this command.

    Args:
        syncs: The syncs.
        typed: What the user typed after the program's name.
    """
    lost = [sync for sync in syncs if reads_own_input(sync)]
    kept = [sync for sync in syncs if sync not in lost]
    steps = []
    if kept:
        stops = "The sync stops here and is kept" if len(kept) == 1 else "The syncs stop here and are kept"
        steps.append(
            NextStep(f"{stops}; a worker would continue it. To continue where it stopped:", _each("resume", kept))
        )
        steps.append(NextStep("To cancel it:", _each("cancel", kept)))
    if lost and typed:
        ended = "The sync is cancelled, because the input that it read ends with this command. To run it again:"
        steps.append(NextStep(ended, (run_again(typed),)))
    return steps


def reads_own_input(sync: Sync) -> bool:
    """Returns whether a sync still reads what only the command that started it can read."""
    return _has_own_input(sync) and sync.state in _READING


def _needs_own_input(sync: Sync) -> bool:
    """Returns whether a failed sync could continue only with the input of the command that started it."""
    return _has_own_input(sync) and sync.failed_in in _READING


def _has_own_input(sync: Sync) -> bool:
    return sync.request.file is not None and is_of_one_process(sync.request.file)


def _each(name: str, syncs: Sequence[Sync]) -> tuple[str, ...]:
    options = ("--follow",) if name == "status" else ()
    return tuple(command(name, sync.id, *options) for sync in syncs)


def _conditional(condition: str, clause: str) -> str:
    return f"{condition}, {clause}" if condition else f"{clause[0].upper()}{clause[1:]}"


def _needed_budget(sync: Sync) -> tuple[int | None, int | None]:
    """Returns the `--max-credits` that a sync needs after `over_budget`, and the worker's own ceiling if that is too
    low.
    """
    assert sync.error is not None
    needed, limit = sync.error.needed_credits, sync.error.credit_limit
    if needed is None or limit is None:  # stored by a version that kept no numbers
        wanted = [cluster for cluster in cluster_results(sync, sync_statistics(sync)) if not cluster.skipped]
        needed, limit = max(sync.credits, CREDITS_PER_PERSONA * len(wanted)), sync.request.max_credits or 0
    return _raised(sync, needed, limit)


def _budget_of_plan(sync: Sync, plan: Plan) -> tuple[int | None, int | None]:
    assert plan.max_credits is not None
    return _raised(sync, plan.credits, plan.max_credits)


def _raised(sync: Sync, needed: int, limit: int) -> tuple[int | None, int | None]:
    own = sync.request.max_credits
    ceiling = limit if own is None or limit < own else None
    return (needed if own is not None and own < needed else None), ceiling
