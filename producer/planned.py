"""How a plan looks: what would become of each persona, and what would change of it, field by field.

Pure: from a plan to text. Used for one sync's report, and for the question that is asked before anything is paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from producer.result import ClusterResult
from worker.plan import Orphan, Plan, PlannedPersona
from worker.printable import json_text, printable
from worker.sync import SyncRequest


def would(persona: PlannedPersona) -> str:
    """What would become of one persona, in a few words."""
    if persona.action == "create":
        return f"would be created, {persona.credits:,} credits"
    return f"would be {'updated' if persona.action == 'update' else 'left as it is'}: {persona.persona_id}"


def what(plans: Sequence[Plan]) -> str:
    """All of it in one phrase: `create 3 personas for 900 credits, update 1`."""
    counted = Counter(one.action for plan in plans for one in plan.personas if one.action != "skip")
    parts = []
    for action, n in counted.items():
        cost = f" for {sum(plan.credits for plan in plans):,} credits" if action == "create" else ""
        parts.append(f"{action} {n} persona{'' if n == 1 else 's'}{cost}")
    return ", ".join(parts) or "change nothing"


def differences(found: Sequence[ClusterResult]) -> Iterator[Text]:
    """For each planned persona why, and each field that would change: before (-) and after (+)."""
    for cluster in found:
        persona = cluster.planned
        if persona is None or cluster.skipped:
            continue
        yield Text(f"{cluster.summary.label}: {printable(f'{would(persona)} ({persona.reason})')}", "bold")
        if persona.action == "leave":
            continue
        if persona.persona_id and persona.current is None:
            yield Text("  what it is like at Mavera now is not known", "dim")
        for change in persona.changes:
            if change.before is not None:
                yield Text(f"  - {printable(change.field)}: {_value(change.before)}", "red")
            yield Text(f"  + {printable(change.field)}: {_value(change.after)}", "green")


def account_lines(plan: Plan, request: SyncRequest) -> Iterator[Text]:
    """What the account has left, whether that is enough, and the personas that the rules leave behind."""
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
        yield Text(printable(describe_orphan(orphan, request, new)), "yellow")


def describe_orphan(orphan: Orphan, request: SyncRequest, new: Sequence[str] = ()) -> str:
    """That no sync with these rules updates a persona any more, and how to keep it. new: clusters without a persona."""
    if not orphan.cluster:
        return (
            f"{orphan.persona_id} at Mavera is of a cluster that the rules {request.rules.name} do not have: "
            "no sync updates it any more."
        )
    said = f"{orphan.persona_id} of cluster {orphan.cluster} is no longer made by the rules {request.rules.name}."
    command = "segment-personas personas rename"
    if len(new) != 1:
        return f"{said} If the cluster has another key now, this keeps its persona: {command} (see its --help)."
    options = [("--rules", request.rules.name, "recipe"), ("--collection", request.collection, "users")]
    given = "".join(f" {option} {value}" for option, value, default in options if value != default)
    return (
        f"{said} If {new[0]} is its new key, this keeps its persona:\n"
        f"  {command} {request.space_id} {orphan.cluster} {new[0]}{given}"
    )


def _value(value: object) -> str:
    return printable(value) if isinstance(value, str) else json_text(value)
