"""Each Lua file uses the names of its Python signature, and answers what the signature says."""

from __future__ import annotations

import inspect

from tests.support.project.lua_scripts import (
    BUILT_IN,
    answered_words,
    declared_names,
    fields_of,
    lua_files,
    typed_scripts,
    used_names,
)
from worker.store.typed_script.answers import BROKEN, CONFLICT, STALE
from worker.store.typed_script.arguments import Rows, Scalar, Shape, Table
from worker.store.typed_script.lua_script import LIBRARY, read_lua, script_text

SCRIPTS = typed_scripts()
LIBRARY_TEXT = "\n".join(read_lua(f"lib/{part}") for part in LIBRARY)
CONSTANTS = {"FORMAT", "WRITTEN_FORMAT", "PREFIX", "SLOTS"}


def paths(shape: Shape | Rows) -> set[str]:
    """The fields of an argument, nested ones with dots."""
    if isinstance(shape, Scalar | Rows):
        return set()
    assert isinstance(shape, Table)
    nested = {f"{name}.{path}" for name, part in shape.parts for path in paths(part)}
    return {name for name, _ in shape.parts} | nested


def test_every_lua_file_has_a_signature_and_the_reverse() -> None:
    assert set(lua_files()) == set(SCRIPTS)


def test_a_script_uses_exactly_the_names_of_its_signature() -> None:
    for name in sorted(SCRIPTS):
        script, text = SCRIPTS[name], read_lua(name)
        parameters = {key.name for key in script.signature.keys} | dict(script.signature.arguments).keys()
        known = BUILT_IN | CONSTANTS | {"broken"} | declared_names(LIBRARY_TEXT) | declared_names(text) | parameters
        assert used_names(text) - known == set(), name
        assert parameters - used_names(text) == set(), f"{name}: the signature declares what the script does not use"


def test_a_script_is_sent_with_what_it_uses_of_the_library() -> None:
    for name in sorted(SCRIPTS):
        text, _ = script_text(name, "", SCRIPTS[name].header)
        assert used_names(text) - declared_names(text) - BUILT_IN - {"KEYS", "ARGV"} == set(), name
    text, _ = script_text("persona/record", "", SCRIPTS["persona/record"].header)
    assert {"int", "types", "note_outcome"} <= declared_names(text)
    assert {"create_sync", "record_event", "margin_now"}.isdisjoint(declared_names(text))


def test_a_script_reads_only_fields_that_its_arguments_have() -> None:
    for name in sorted(SCRIPTS):
        text = read_lua(name)
        for argument, shape in SCRIPTS[name].signature.arguments:
            assert fields_of(text, argument) <= paths(shape), (name, argument)


def test_a_script_answers_only_what_its_signature_names() -> None:
    for name in sorted(SCRIPTS):
        allowed = {*SCRIPTS[name].signature.answers.parsers, STALE, CONFLICT, BROKEN}
        assert answered_words(read_lua(name)) <= allowed, name


def test_a_declared_name_does_not_hide_one_of_the_library() -> None:
    for name in sorted(SCRIPTS):
        script = SCRIPTS[name]
        parameters = {key.name for key in script.signature.keys} | dict(script.signature.arguments).keys()
        top_level = {
            line.split()[2].split("(")[0] for line in LIBRARY_TEXT.splitlines() if line.startswith("local function")
        }
        assert parameters & (top_level | CONSTANTS | BUILT_IN) == set(), name


def test_the_checks_find_names_that_do_not_fit() -> None:
    text = inspect.cleandoc("""
        -- a comment with epoch
        local now, old = now_ms(), redis.call('HGET', sync, 'epoch')
        for i, part in ipairs({ key = lease.epoch, [1] = 'token' }) do append(part, i, lease.job.job_id) end
        local function drop(id) return { 'gone', id } end
        if now == undeclared then return { 'odd' } end
    """)
    assert used_names(text) - declared_names(text) == {
        *("now_ms", "redis", "sync", "ipairs", "lease", "append", "undeclared")
    }
    assert declared_names(text) == {"now", "old", "i", "part", "drop", "id"}
    assert fields_of(text, "lease") == {"epoch", "job.job_id"}
    assert answered_words(text) == {"gone", "odd"}
