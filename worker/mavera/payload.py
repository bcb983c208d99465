"""The persona that is sent to Mavera for a cluster.

The description and the fields begin as in the recipe's `POST /personas` body, to the letter, so that users of the
recipe find the same personas. Further statistics follow, and the reference is at the end.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from worker.clusters import ClusterSummary, Rules
from worker.clusters.analysis.change_detection import PersonaFigures, collect_figures
from worker.clusters.rules.template import fill_template
from worker.mavera.payload_fields import demographic_fields, psychographic_fields
from worker.mavera.reference import Reference, strip_references
from worker.mavera.text.description import detail_sentences, opening_sentences, placeholder_values

NAME_PREFIX = "Segment CDP: "

MAX_DESCRIPTION = 2000
"""Most characters of a description with its reference. Mavera documents no limit; this one keeps it readable."""

ELLIPSIS = " …"

LAYOUT = 2
"""Version of the text and the fields. A new version updates every persona once; updates are free."""


@dataclass(frozen=True, slots=True)
class PersonaPayload:
    """The body of a persona's creation or update.

    Attributes:
        name: Name of the persona.
        description: Text with the reference at its end.
        demographic: See `payload_fields`.
        psychographic: See `payload_fields`.
        wording: Digest of everything that does not come from statistics.
        figures: The statistics, to detect later whether they changed.
        extra: Fields that the rules add, unchanged.
    """

    name: str
    description: str
    demographic: Mapping[str, object]
    psychographic: Mapping[str, object]
    wording: str
    figures: PersonaFigures
    extra: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """Returns the body: `name`, `description`, `demographic`, `psychographic` and the extra fields."""
        return {
            "name": self.name,
            "description": self.description,
            "demographic": dict(self.demographic),
            "psychographic": dict(self.psychographic),
            **self.extra,
        }


def build_payload(summary: ClusterSummary, reference: Reference, rules: Rules) -> PersonaPayload:
    """Builds the persona of a cluster, with its reference at the end of the description.

    A label has at most 60 characters, so the name is within Mavera's limit of 2 to 100.
    """
    cluster, traits = rules.cluster(summary.key), rules.reported_traits(summary.key)
    name = f"{NAME_PREFIX}{summary.label}"
    room = MAX_DESCRIPTION - len(f" {reference}")
    if cluster.template is None:
        text = _join_fitting([*opening_sentences(summary, traits), *detail_sentences(summary, traits)], room)
    else:
        text = _truncate(fill_template(cluster.template, placeholder_values(summary, traits)), room)
    text = strip_references(text)
    meanings = [trait.model_dump(include={"name", "label", "type", "scale", "currency"}) for trait in traits]
    return PersonaPayload(
        name=name,
        description=f"{text} {reference}",
        demographic=demographic_fields(summary, traits),
        psychographic=psychographic_fields(summary, traits),
        wording=_digest(LAYOUT, name, str(reference), cluster.template, dict(cluster.persona), meanings),
        figures=collect_figures(summary, traits),
        extra=cluster.persona,
    )


def _join_fitting(sentences: Iterable[str], room: int) -> str:
    """Joins the sentences that fit into `room` characters. The first one is truncated if it does not fit."""
    text = ""
    for sentence in sentences:
        if not text:
            text = _truncate(sentence, room)
        elif len(text) + 1 + len(sentence) <= room:
            text = f"{text} {sentence}"
    return text


def _truncate(text: str, room: int) -> str:
    """Returns the text, or the first words that fit into `room` characters with an ellipsis."""
    if len(text) <= room:
        return text
    kept = text[: room - len(ELLIPSIS)]
    if not text[len(kept)].isspace():
        kept = re.sub(r"\S+\Z", "", kept)  # the beginning of a word
    return f"{kept.rstrip()}{ELLIPSIS}".lstrip()


def _digest(*parts: object) -> str:
    return blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()
