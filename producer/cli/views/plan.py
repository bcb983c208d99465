"""The views of a plan: what would happen to each persona, which fields would change, and the question to the user.

Pure: from a plan to text. Used for one sync's report, and for the question that is asked before anything is paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from producer.cli.views.surplus_personas import describe_orphan
from worker.documents.sync_results import ClusterResult, sync_statistics
from worker.models.plan import Change, Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.models.sync import Sync
from worker.printable import json_text, printable

MAX_SHOWN_CHANGES = 3
"""Changed fields of a persona that are shown without `--details`."""

MAX_VALUE_LENGTH = 32
"""Characters of a value that are shown without `--details`."""


def describe_action(persona: PlannedPersona) -> str:
    """Returns what would become of one persona, in a few words."""
    if persona.action == "create":
        return f"create, {persona.credits:,} credits"
    return f"{'update' if persona.action == 'update' else 'unchanged'} {persona.persona_id}"


def plan_summary(plans: Sequence[Plan]) -> str:
    """All plans in one phrase: `create 3 personas for 900 credits, update 1`."""
    counted = Counter(one.action for plan in plans for one in plan.personas if one.action != "skip")
    parts = []
    for action, n in counted.items():
        cost = f" for {sum(plan.credits for plan in plans):,} credits" if action == "create" else ""
        unchanged = " unchanged" if action == "leave" else ""
        parts.append(f"{action} {n} persona{'' if n == 1 else 's'}{unchanged}{cost}")
    return ", ".join(parts) or "change nothing"


def changes_personas(plan: Plan) -> bool:
    """Returns whether applying the plan would create or update a persona."""
    return any(persona.action in {"create", "update"} for persona in plan.personas)


def plan_lines(found: Sequence[ClusterResult], *, details: bool = False) -> Iterator[Text]:
    """Yields the action, the reason and the changes of each planned persona.

    Args:
        found: The clusters of one sync.
        details: Whether to show every field, before (-) and after (+), instead of the most telling ones on one line.
    """
    hidden = False
    for cluster in found:
        persona = cluster.planned
        if persona is None or cluster.skipped:
            continue
        line = Text(printable(f"{cluster.summary.label}: {describe_action(persona)}"), "bold")
        line.append(printable(f" ({persona.reason})"), "not bold")
        if details:
            yield line
            yield from _all_fields(persona)
            continue
        hidden = hidden or persona.action != "leave"
        if persona.action == "update":
            line.append(f"\n  {_summarize_changes(persona)}", "not bold")
        elif persona.action == "create":
            line.append(f"; {len(persona.changes)} fields", "not bold dim")
        yield line
    if hidden:
        yield Text("All fields, before and after: --details", "dim")


def account_lines(plan: Plan, request: SyncRequest) -> Iterator[Text]:
    """Yields the credits left in the account, whether they are enough, and the orphans."""
    if plan.account:
        yield Text(f"Mavera: {printable(plan.account.text)}.", "dim")
    if plan.account and plan.exceeds_account:
        yield Text(
            f"The plan costs {plan.credits:,} credits, more than the {plan.account.available:,} that the account can "
            "spend: until it is topped up, nothing will be bought (insufficient_credits).",
            "yellow",
        )
    new = [one.cluster for one in plan.personas if one.action == "create"]
    for orphan in plan.orphans:
        of = (orphan.persona_id, orphan.cluster, request.rules.name, request.space_id, request.collection)
        yield Text(printable(describe_orphan(*of, new=new)), "yellow")


def confirmation_question(syncs: Sequence[Sync]) -> str:
    """Returns what the user is asked about the plans of `syncs`: what is unusual, then what would be done and what it
    costs.
    """
    plans = [sync.planned for sync in syncs if sync.planned]
    does = plan_summary(plans) if any(map(changes_personas, plans)) else ""
    if any(sync.plans_from_part for sync in syncs):
        does += " (only a part of the space was read)"
    unusual = [part for sync in syncs if sync.planned for part in _alarm_questions(sync, sync.planned)]
    if not unusual:
        return f"{does[:1].upper()}{does[1:]}?"
    statements = ". ".join(statement for statement, _ in unusual)
    accept = unusual[0][1] if len(unusual) == 1 else "Accept all of this and continue"
    return f"{statements}. {accept}{f', and {does}' if does else ''}?"


def _alarm_questions(sync: Sync, plan: Plan) -> Iterator[tuple[str, str]]:
    """Yields for each alarm what was found, and the words that accept it."""
    codes = plan.alarm_codes or ("",) * len(plan.alarms)
    for code, sentence in zip(codes, plan.alarms, strict=False):
        if code == "guard_profiles" and sync.baseline is not None:
            before, now = sync.baseline.profiles, sync_statistics(sync).profiles
            sentence = f"The {sync.request.source_name} shrank from {before:,} to {now:,} profiles"
        elif code == "guard_personas":
            sentence = sentence.partition(";")[0]
        yield printable(sentence.partition(". ")[0]), _ACCEPT.get(code, "Accept this and continue")


_ACCEPT = {
    "": "Accept this and continue",
    "guard_profiles": "Accept this as the new state",
    "guard_coverage": "Accept this as the new state",
    "guard_trait_errors": "Continue without these values",
    "guard_profile_errors": "Continue without these profiles",
    "guard_personas": "Create these personas again",
}


def _all_fields(persona: PlannedPersona) -> Iterator[Text]:
    if persona.action == "leave":
        return
    if persona.persona_id and persona.current is None:
        yield Text("  Mavera does not show this persona, so its current fields are unknown", "dim")
    for change in persona.changes:
        if change.before is not None:
            yield Text(printable(f"  - {change.field}: {_text(change.before)}"), "red")
        yield Text(printable(f"  + {change.field}: {_text(change.after)}"), "green")


def _summarize_changes(persona: PlannedPersona) -> str:
    """Returns the most telling changes on one line, and how many more there are."""
    if persona.current is None:
        return f"{len(persona.changes)} fields are sent; what they are at Mavera now is unknown"
    ordered = sorted(persona.changes, key=_change_priority)
    shown = [_short_change(change) for change in ordered[:MAX_SHOWN_CHANGES]]
    left = len(ordered) - len(shown)
    if left:
        shown.append(f"{left} more field{'' if left == 1 else 's'}")
    return printable("; ".join(shown) or "no field that Mavera shows would change")


def _change_priority(change: Change) -> int:
    """Returns how telling a change is: means first, then other numbers, then short texts, the description last."""
    last = change.field.rpartition(".")[2]
    if last == "description":
        return 3
    if not isinstance(change.after, int | float) or isinstance(change.after, bool):
        return 2
    return 0 if last in {"mean", "profiles"} else 1


def _short_change(change: Change) -> str:
    """`ltv.mean 1,539 → 1,189`."""
    name = change.field
    for prefix in ("psychographic.numbers.", "demographic.shares.", "psychographic.", "demographic."):
        name = name.removeprefix(prefix)
    return f"{name} {_short(change.before)} → {_short(change.after)}"


def _short(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
    text = " ".join(_text(value).split())
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json_text(value)
