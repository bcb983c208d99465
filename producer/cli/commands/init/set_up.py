"""`segment-personas init`: prepares a directory for the first sync. It buys nothing.

It collects the credentials, checks whether the default clusters fit the space, and then writes `.env` and, if they do
not, a clusters file. Nothing is written before everything is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from producer.cli.command_lines import command
from producer.cli.commands.doctor.findings import describe_api_error
from producer.cli.commands.init.credentials import KEY, SPACE, TOKEN, Credentials
from producer.cli.commands.init.git_status import git_status, ignore_in_git
from producer.cli.commands.init.questions import Questions
from producer.cli.commands.suggest import Sample, read_sample
from producer.cli.environment.command_settings import found_settings, misspelt_settings
from producer.cli.environment.env_file import Edit, check_writable, env_file_path, plan_edit, setting_of, write_private
from producer.cli.exit_codes import DONE, INTERRUPTED, NOT_AGREED
from producer.cli.terminal import Screen, show_log, stderr
from worker.clusters import RECIPE
from worker.clusters.rules.toml_file import parse_rules
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.fold import fold
from worker.clusters.suggest.proposal import suggest
from worker.errors import ApiError, ConfigurationError
from worker.printable import printable
from worker.settings import Settings

NEARLY_ALL = 0.9
"""Share of the profiles without a default trait from which on a clusters file of the space's own is written."""

_CLUSTERS_FILE = "CLUSTERS_FILE"


@dataclass(frozen=True)
class _NewFile:
    """A file to write: its path, and its text."""

    path: Path
    text: str


def init(*, yes: bool) -> int:
    """Prepares the working directory for the first sync, and returns the exit code.

    Args:
        yes: Ask nothing; every value must come from the environment or from `.env`.

    Raises:
        ConfigurationError: A value is missing or refused and nothing may be asked, or a file cannot be written.
        ApiError: Nothing may be asked, and an API cannot be reached or refuses a value.
    """
    err = stderr()
    show_log(err, "ERROR")
    if not yes and not err.can_ask:
        variables = ", ".join(one.variable for one in (TOKEN, SPACE, KEY))
        raise ConfigurationError(
            "init asks questions, and this is not a terminal.",
            hint=f"Set {variables} in the environment, and add --yes.",
        )
    path = env_file_path(os.environ)
    if path is None:
        raise ConfigurationError(
            "init writes the file that commands read, and reading is turned off (--no-env-file, or an empty "
            "SEGMENT_PERSONAS_ENV_FILE).",
            hint="Name a file with --env-file.",
        )
    check_writable(path)
    with _interruptible():
        try:
            return prepare(err, path, None if yes else Questions(err))
        except KeyboardInterrupt:
            err.print_text("\nInterrupted. Nothing was written.")
            return INTERRUPTED
        except EOFError:
            err.print_text("\nNo answer. Nothing was written.")
            return NOT_AGREED


def prepare(err: Screen, path: Path, questions: Questions | None) -> int:
    """Collects everything, then writes it. Raises as `init` does, and whatever interrupts a question."""
    found = found_settings(may_be_missing=True)
    problems = [
        problem for problem in found.problems if questions is None or setting_of(problem.variable) not in _ASKED
    ]
    if found.file_error:
        raise found.file_error
    if problems:
        raise ConfigurationError("Malformed setting: " + "; ".join(map(str, problems)))
    for sentence in misspelt_settings(found.env_file):
        err.print_text(sentence, "yellow")
    credentials = Credentials(err, found, questions)
    settings = credentials.collect()
    values = credentials.to_write()
    clusters = _clusters_file(err, settings)
    if clusters:
        beside = path.resolve().parent == Path.cwd().resolve()
        values[_CLUSTERS_FILE] = str(clusters.path if beside else clusters.path.absolute())
    edit = plan_edit(path, values)
    ignore = _protect_from_git(err, path, questions)
    if questions and edit.replaced:
        names = ", ".join(edit.replaced)
        if not questions.confirm(f"{path} has a different {names}. Replace it?", default=False):
            err.print_text("Nothing was written.")
            return NOT_AGREED
    with _not_interruptible():
        _write(err, path, edit, clusters)
        if ignore:
            _ignore(err, path)
    for name in edit.left:
        err.print_text(f"{path} already says where {name} comes from, so {name} was not written.", "yellow")
    if found.env_file.warning and edit.after == edit.before:
        err.print_text(found.env_file.warning, "yellow")
    _print_next_steps(err, credentials.exported, has_clusters=clusters is not None)
    return DONE


_ASKED = {TOKEN.setting, SPACE.setting, KEY.setting}


def _clusters_file(err: Screen, settings: Settings) -> _NewFile | None:
    """Returns a clusters file for the space if the default clusters would hold almost none of its profiles."""
    if settings.clusters_file:
        return None
    err.print_text("\nLooking at a sample of the space …", "dim")
    now = time.time()
    try:
        entries = asyncio.run(read_sample(settings, Sample(space_id=settings.segment_space_id)))
    except ApiError as error:
        err.print_text(
            f"The sample cannot be read, so the default clusters are used. {describe_api_error(error)[0]}", "yellow"
        )
        return None
    counted = Aggregate()
    fold(counted, entries, RECIPE, as_of=now)
    if not counted.profiles:
        return None
    if counted.unclassified < NEARLY_ALL * counted.profiles:
        return None
    keys = ", ".join("/".join(RECIPE.trait(name).keys) for name in RECIPE.compiled.deciding)
    missing = f"{counted.unclassified / counted.profiles:.0%} of {counted.profiles:,} profiles have none of {keys}"
    text = suggest(entries, as_of=now).text
    if not text:
        err.print_text(
            f"{missing}, and the space has no other trait for clusters. Define computed traits in Segment (Engage) "
            "before the first sync.",
            "yellow",
        )
        return None
    free = _free_name(Path("clusters.toml"))
    names = ", ".join(printable(key) for key in parse_rules(text).cluster_keys)
    err.print_text(f"{missing}, so {free} defines clusters for the traits that the space has: {names}.")
    return _NewFile(free, text)


def _free_name(path: Path) -> Path:
    """Returns the path, or the first one with a number in its name that no file has."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _protect_from_git(err: Screen, path: Path, questions: Questions | None) -> bool:
    """Warns if git would commit the file; whether to add it to `.gitignore`."""
    file = shlex.quote(str(path))
    match git_status(path):
        case "tracked":
            err.print_text(f"git tracks {path}, so its secrets would be committed. To stop that:", "yellow")
            err.print_text(f"  git rm --cached {file} && echo {shlex.quote(path.name)} >> {_gitignore(path)}")
        case "not ignored":
            if questions:
                return questions.confirm(f"git does not ignore {path}. Add it to .gitignore?", default=True)
            err.print_text(f"git does not ignore {path}, so its secrets may be committed. To ignore it:", "yellow")
            err.print_text(f"  echo {shlex.quote(path.name)} >> {_gitignore(path)}")
    return False


def _gitignore(path: Path) -> str:
    return shlex.quote(str(path.parent / ".gitignore"))


def _write(err: Screen, path: Path, edit: Edit, clusters: _NewFile | None) -> None:
    """Writes both files, or neither."""
    if clusters:
        _write_new(clusters)
    if edit.after == edit.before:
        err.print_text(f"\n{path} already has these values; it was not changed.")
        return
    try:
        write_private(path, edit.after)
    except ConfigurationError:
        if clusters:
            clusters.path.unlink(missing_ok=True)
        raise
    err.print_text(
        f"\nWrote {path}, which only you may read." + (f" Wrote {clusters.path}." if clusters else ""), "green"
    )


def _write_new(file: _NewFile) -> None:
    """Writes a file that does not exist yet, as a whole or not at all. Raises ConfigurationError."""
    try:
        with file.path.open("x", encoding="utf-8") as opened:
            try:
                opened.write(file.text)
                opened.flush()
            except OSError:
                file.path.unlink()
                raise
    except OSError as error:
        raise ConfigurationError(f"{file.path} cannot be written: {error.strerror}.") from None


def _ignore(err: Screen, path: Path) -> None:
    try:
        ignore_in_git(path)
    except OSError as error:
        err.print_text(f"{path.parent / '.gitignore'} cannot be written: {error.strerror}.", "yellow")


def _print_next_steps(err: Screen, exported: tuple[str, ...], *, has_clusters: bool) -> None:
    if exported:
        err.print_text(
            "\nThe environment of this shell overrides the file. To use the values that you typed:\n"
            f"  unset {' '.join(exported)}"
        )
    lines = [command("preview", "--max-profiles", "1000"), command("sync")]
    if has_clusters:
        lines.insert(0, command("clusters", "show"))
    err.print_text("\nNext: a preview of a part of the space, which is free; then a sync, which asks before it buys.")
    err.print_text("\n".join(f"  {line}" for line in lines))


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt, so that a prompt gives the terminal back as it was."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt, signal.default_int_handler):
        yield


@contextlib.contextmanager
def _not_interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM are ignored, for the moment of writing."""
    with _handling(signal.SIG_IGN, signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handling(on_sigterm: signal._HANDLER, on_sigint: signal._HANDLER) -> Iterator[None]:
    before = {}
    for number, handler in ((signal.SIGTERM, on_sigterm), (signal.SIGINT, on_sigint)):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a script
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
