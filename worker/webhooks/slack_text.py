"""Writes an event as a message for Slack's incoming webhooks, and for programs that accept their format. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from worker.printable import json_text, printable
from worker.webhooks.event import Event

_LONGEST = 3000
"""Characters of a message."""

_TITLES = {
    "sync.completed": "Sync completed",
    "sync.failed": "Sync failed",
    "sync.cancelled": "Sync cancelled",
    "plan.ready": "Plan ready",
    "guard.stopped": "Sync stopped by a guard",
    "sync.overdue": "No complete sync in time",
    "credits.low": "Credits are low",
}


def slack_body(event: Event) -> bytes:
    """Returns the JSON that Slack expects."""
    lines = [f"*{_TITLES[event.type]}*: {_subject(event.data)}", *_details(event)]
    text = "\n".join(_escaped(printable(line)) for line in lines)
    return json_text({"text": text[:_LONGEST]}).encode()


def _subject(data: Mapping[str, Any]) -> str:
    if "space_id" not in data:
        return str(data.get("text", ""))
    name = data.get("sync_id") or data.get("schedule_id")
    return f"space {data['space_id']} ({name})"


def _details(event: Event) -> list[str]:
    data: Mapping[str, Any] = event.data
    match event.type:
        case "sync.completed":
            return [f"{data['profiles_fetched']:,} profiles; {_personas(data['personas'])}; {_credits(data)}"]
        case "plan.ready":
            planned = _personas(data.get("planned", ()))
            apply = f"segment-personas apply {data['sync_id']}"
            alarms = [f"Guard: {alarm}" for alarm in data.get("alarms", ())]
            return [f"{planned}; {data.get('credits_planned', 0):,} credits to apply it: `{apply}`", *alarms]
        case "sync.failed" | "guard.stopped":
            error = data["error"]
            return [f"{error['code']}: {error['message']}", *filter(None, [error.get("hint", "")])]
        case "sync.overdue":
            at = data.get("last_complete_at")
            return [f"The last complete sync was read until {at}" if at else "The space has no complete sync yet"]
        case _:
            return []


def _personas(rows: Sequence[Mapping[str, Any]]) -> str:
    actions = Counter(str(row["action"]) for row in rows)
    return ", ".join(f"{count} personas: {action}" for action, count in sorted(actions.items())) or "no persona changes"


def _credits(data: Mapping[str, Any]) -> str:
    return f"{data['credits_charged']:,} credits charged"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
