"""Checks across the valid parts of rules while other parts are invalid, so that one check finds every mistake.

`Rules` checks how its parts fit together only if each of them is valid by itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Cluster, Rules, find_unsendable_value
from worker.clusters.rules.trait import Trait
from worker.clusters.rules.validation import Fault, Path, unknown_name

M = TypeVar("M", bound=BaseModel)


def faults_of_valid_parts(data: Mapping[str, Any]) -> list[Fault]:
    """Returns what does not fit together in the data of rules, without what depends on invalid parts."""
    traits, clusters = _valid_entries(Trait, data.get("traits")), _valid_entries(Cluster, data.get("clusters"))
    names = [row.get("name") for row in _rows(data.get("traits")).values()]
    declared = list(dict.fromkeys(name for name in names if isinstance(name, str)))
    if not declared:
        return []
    unclear = bool(set(names) - {trait.name for trait in traits.values()})
    condition = _valid(Condition, data.get("filter"))
    rules = Rules.model_construct(
        name="partial", traits=tuple(traits.values()), filter=condition, clusters=tuple(clusters.values())
    )
    numbers = {"traits": list(traits), "clusters": list(clusters)}
    found = [
        Fault(_original(fault.path, numbers), fault.sentence)
        for fault in (*rules.trait_faults(), *rules.cluster_faults(whole=False))
        if not (_is_name(fault.path) or (unclear and fault.path[-1] == "template"))
    ]
    all_named = all(isinstance(name, str) for name in names)
    if all_named:
        found += _unknown_names(data.get("filter"), ("filter",), declared)
    for i, row in _rows(data.get("clusters")).items():
        if all_named:
            found += _unknown_names(row.get("when"), ("clusters", i, "when"), declared)
            found += _unknown_reports(row.get("report"), ("clusters", i, "report"), declared)
        found += find_unsendable_value(row.get("persona"), ("clusters", i, "persona"))
    return found


def _is_name(path: Path) -> bool:
    """Returns whether a fault is about the name of a trait. Those are searched in all conditions, valid or not."""
    return path[-1] == "trait" or "report" in path


def _rows(value: object) -> dict[int, Mapping[str, Any]]:
    """Returns the tables of a list by their index."""
    entries = value if isinstance(value, list) else []
    return {i: entry for i, entry in enumerate(entries) if isinstance(entry, dict)}


def _valid(model: type[M], value: object) -> M | None:
    try:
        return model.model_validate(value)
    except (ValidationError, RecursionError):
        return None


def _valid_entries(model: type[M], value: object) -> dict[int, M]:
    found = ((i, _valid(model, row)) for i, row in _rows(value).items())
    return {i: one for i, one in found if one is not None}


def _original(path: Path, numbers: Mapping[str, list[int]]) -> Path:
    """Returns the path with the index that an entry has in the data."""
    match path:
        case (("traits" | "clusters") as kind, int(index), *rest):
            return (kind, numbers[kind][index], *rest)
    return path


def _unknown_names(condition: object, path: Path, declared: list[str]) -> Iterator[Fault]:
    """Yields every unknown trait that a condition compares, however malformed the condition is."""
    if isinstance(condition, list):
        for i, part in enumerate(condition):
            yield from _unknown_names(part, (*path, i), declared)
    elif isinstance(condition, dict):
        for field, value in condition.items():
            if field == "trait" and isinstance(value, str) and value not in declared:
                yield Fault((*path, "trait"), unknown_name("trait", value, declared))
            elif field in ("all", "any", "not"):
                yield from _unknown_names(value, (*path, field), declared)


def _unknown_reports(report: object, path: Path, declared: list[str]) -> Iterator[Fault]:
    for i, name in enumerate(report if isinstance(report, list) else []):
        if isinstance(name, str) and name not in declared:
            yield Fault((*path, i), unknown_name("trait", name, declared))
