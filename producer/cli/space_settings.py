"""The settings that a command uses for a space: those of `SPACES_FILE`, if it is set."""

from __future__ import annotations

from worker.errors import ConfigurationError, ResumableStop
from worker.jobs.space_directory import SpaceDirectory, open_spaces
from worker.settings import Settings


def settings_of_space(settings: Settings, space_id: str | None) -> Settings:
    """Returns the settings of a space; without `SPACES_FILE` or a space, those of the process.

    Raises:
        ConfigurationError: The file cannot be used, or has no account for the space.
    """
    spaces = open_spaces(settings, needs_secrets=False)
    return settings if spaces is None or space_id is None else settings_from(spaces, space_id)


def settings_from(spaces: SpaceDirectory[Settings], space_id: str) -> Settings:
    """Returns the settings of a space. Raises ConfigurationError if the file has no account for it."""
    try:
        return spaces.settings_of(space_id)
    except ResumableStop as error:
        raise ConfigurationError(str(error), hint="Add the account and its key to SPACES_FILE.") from None
