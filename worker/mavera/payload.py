"""The persona that is sent to Mavera for a cluster. Pure.

Text and field names begin as in the recipe's `POST /personas` body, to the letter, so that whoever replaces the recipe
finds the same personas; what the statistics say beyond that stands after it. The reference is at the end.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from worker.clusters import ClusterSummary, Rules
from worker.clusters.analysis.change_detection import PersonaFigures, collect_figures
from worker.clusters.rules.template import fill
from worker.mavera.payload_fields import demographic, psychographic
from worker.mavera.reference import Reference, without_references
from worker.mavera.text.description import details, opening, placeholder_values

NAME_PREFIX = "Segment CDP: "

MAX_DESCRIPTION = 2000
"""Characters of a description with its reference. Mavera names no limit; a text is there to be read."""

ELLIPSIS = " …"

LAYOUT = 1
"""Version of the text and the fields. Another one sends every persona again once."""


@dataclass(frozen=True, slots=True)
class PersonaPayload:
    """The body of a persona's creation or update.

    demographic, psychographic: see `fields`. extra: fields of the rules, as they are. wording: digest of all that does
    not come from statistics. figures: what does, to see later whether it has changed.
    """

    name: str
    description: str
    demographic: Mapping[str, object]
    psychographic: Mapping[str, object]
    wording: str
    figures: PersonaFigures
    extra: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """The body as it is sent: `name`, `description`, `demographic`, `psychographic`, and the extra fields."""
        return {
            "name": self.name,
            "description": self.description,
            "demographic": dict(self.demographic),
            "psychographic": dict(self.psychographic),
            **self.extra,
        }


def build(summary: ClusterSummary, reference: Reference, rules: Rules) -> PersonaPayload:
    """The persona of a cluster, with its reference as the last words of its description.

    A label has at most 60 characters, so the name fits what Mavera takes: 2 to 100.
    """
    cluster, traits = rules.cluster(summary.key), rules.told(summary.key)
    name = f"{NAME_PREFIX}{summary.label}"
    room = MAX_DESCRIPTION - len(f" {reference}")
    if cluster.template is None:
        text = _as_many_as_fit([*opening(summary, traits), *details(summary, traits)], room)
    else:
        text = _cut(fill(cluster.template, placeholder_values(summary, traits)), room)
    text = without_references(text)
    meanings = [trait.model_dump(include={"name", "label", "type", "scale", "currency"}) for trait in traits]
    return PersonaPayload(
        name=name,
        description=f"{text} {reference}",
        demographic=demographic(summary, traits),
        psychographic=psychographic(summary, traits),
        wording=_digest(LAYOUT, name, str(reference), cluster.template, dict(cluster.persona), meanings),
        figures=collect_figures(summary, traits),
        extra=cluster.persona,
    )


def _as_many_as_fit(sentences: Iterable[str], room: int) -> str:
    """The first of the sentences, whole; the very first is cut if even that is too long."""
    text = ""
    for sentence in sentences:
        if not text:
            text = _cut(sentence, room)
        elif len(text) + 1 + len(sentence) <= room:
            text = f"{text} {sentence}"
    return text


def _cut(text: str, room: int) -> str:
    """The text, or as many of its first words as fit, with an ellipsis."""
    if len(text) <= room:
        return text
    kept = text[: room - len(ELLIPSIS)]
    if not text[len(kept)].isspace():
        kept = re.sub(r"\S+\Z", "", kept)  # the beginning of a word
    return f"{kept.rstrip()}{ELLIPSIS}".lstrip()


def _digest(*parts: object) -> str:
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()
