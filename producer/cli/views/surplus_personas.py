"""Describes surplus personas: twins, which have the same reference, and orphans, which no sync updates."""

from __future__ import annotations

from collections.abc import Sequence

from producer.cli.command_lines import command


def describe_twins(ids: Sequence[str], place: str) -> str:
    """Says that several personas have one reference, and which of them syncs update.

    Args:
        ids: The personas, the oldest first.
        place: Their cluster, or the reference itself.
    """
    extra = len(ids) - 1
    return (
        f"{', '.join(ids)} have the same reference ({place}), because one was bought twice or copied manually. Syncs "
        f"update only the oldest one, {ids[0]}. Delete the other{'s' if extra > 1 else ''} at Mavera"
    )


def describe_orphan(
    persona_id: str, cluster: str, rules: str, space_id: str, collection: str = "users", new: Sequence[str] = ()
) -> str:
    """Says that no sync with these rules updates a persona any more, and how to keep it.

    Args:
        persona_id: The persona.
        cluster: Key of its cluster; empty if it is not known.
        rules: Name of the rules.
        space_id: Its space.
        collection: Its collection.
        new: Clusters of the rules that have no persona.
    """
    if not cluster:
        return (
            f"{persona_id} at Mavera belongs to a cluster that the rules {rules} do not have, so no sync updates it "
            "any more."
        )
    said = f"The rules {rules} have no cluster {cluster} any more, so no sync updates {persona_id}."
    if len(new) != 1:
        help_line = command("personas", "rename", "--help")
        return f"{said} If the cluster has another key now, `personas rename` keeps its persona:\n  {help_line}"
    options = [("--rules", rules, "recipe"), ("--collection", collection, "users")]
    given = [word for option, value, default in options if value != default for word in (option, value)]
    line = command("personas", "rename", space_id, cluster, new[0], *given)
    return f"{said} If {new[0]} is its new key, this keeps its persona:\n  {line}"
