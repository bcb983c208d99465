"""How a command reports its syncs, and what becomes of them when the command ends."""

from __future__ import annotations

from dataclasses import dataclass

from producer.cli.connect import Connection


@dataclass(frozen=True)
class KeptState:
    """The state of a command's syncs after it ends.

    Attributes:
        arguments: What the user typed, of a command whose state ends with its process; None if it is kept.
        typed: What the user typed, if it is known.
        stops: Whether no other worker works on the syncs.
        in_directory: Whether the state directory keeps them.
        works_here: Whether a worker of this process works on them.
    """

    arguments: tuple[str, ...] | None = None
    typed: tuple[str, ...] = ()
    stops: bool = False
    in_directory: bool = False
    works_here: bool = False


@dataclass(frozen=True)
class ReportOptions:
    """The options for showing syncs.

    Attributes:
        json: Whether as JSON.
        many: Whether JSON is an array, because several syncs were asked for.
        details: Whether a plan is shown with every field.
        plan_shown: Whether the plan was shown already, before it was applied.
        changes_code: Whether the exit code shows that a plan would change something.
        state: What becomes of the syncs when the command ends.
    """

    json: bool = False
    many: bool = False
    details: bool = False
    plan_shown: bool = False
    changes_code: bool = False
    state: KeptState = KeptState()


def kept_state(connection: Connection, typed: tuple[str, ...] = ()) -> KeptState:
    """Returns what becomes of the syncs of a connection when the command ends.

    Args:
        connection: The connection of the command.
        typed: What the user typed after the program's name.
    """
    return KeptState(
        arguments=typed if connection.is_in_memory else None,
        typed=typed,
        stops=connection.stops_with_command,
        in_directory=connection.directory is not None,
        works_here=connection.own_syncs is not None,
    )
