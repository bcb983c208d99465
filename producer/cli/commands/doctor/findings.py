"""Judges what `doctor` measured: Redis, traits and times of a page, limits, personas. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.table import Table
from rich.text import Text

from producer.cli.command_lines import with_program_name
from producer.cli.environment.env_file import EnvFile
from producer.cli.views.surplus_personas import describe_orphan, describe_twins
from worker.clusters import RECIPE, Rules
from worker.clusters.parsing.value_parsers import Traits
from worker.clusters.rules.trait_reader import make_trait_reader
from worker.clusters.statistics.value_shape import most_frequent_shapes
from worker.errors import ApiError, Retry, WaitUntil
from worker.jobs.personas.lookup.orphans import Owner
from worker.mavera import CREDITS_PER_PERSONA, Usage
from worker.models.plan import Orphan
from worker.printable import printable
from worker.store.connection.health import RedisHealth, review_health
from worker.store.webhooks.outbox_store import OutboxStatus

Verdict = Literal["ok", "warn", "fail"]

STYLES: dict[Verdict, str] = {"ok": "green", "warn": "yellow", "fail": "red"}

MIN_SPEEDUP = 1.2
"""How much faster fan-out must be to be worth twice the requests."""

MAVERA_TIERS = {60: "Starter", 120: "Basic", 240: "Professional", 600: "Enterprise"}
"""Mavera's requests a minute, and the tier that has them."""


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        verdict: How good what was found is.
        subject: Which part of the set-up it is about.
        found: What was found.
        advice: What to do; empty if there is nothing to do.
        id: Which check this is: the same in every run and version, and unique in a report.
    """

    verdict: Verdict
    subject: str
    found: str
    advice: str = ""
    id: str = field(kw_only=True)


@dataclass(frozen=True)
class TraitCoverage:
    """The number of profiles of a page in which a trait is usable, and in which it is unusable.

    Attributes:
        keys: The names that profiles may use for it.
        decides: Whether clusters depend on it.
        like: Shapes of several values that are not usable.
    """

    name: str
    keys: tuple[str, ...]
    usable: int
    unusable: int
    decides: bool
    like: tuple[str, ...] = ()


def finding_line(finding: Finding) -> Table:
    """Returns a finding as a line to print."""
    style = STYLES[finding.verdict]
    line = Table.grid(padding=(0, 2))
    for width in (4, 9):
        line.add_column(width=width)
    text = Text(printable(finding.found))
    if finding.advice:
        text.append(f"\n→ {printable(finding.advice)}", style)
    line.add_row(Text(finding.verdict, style), Text(finding.subject, "bold"), text)
    return line


def finding_document(finding: Finding) -> dict[str, str]:
    """Returns a finding as JSON shows it."""
    return {
        "id": finding.id,
        "verdict": finding.verdict,
        "what": finding.subject,
        "found": finding.found,
        "advice": finding.advice,
    }


def judge_env_file(env_file: EnvFile) -> list[Finding]:
    """Returns which settings came from a `.env` file, and what is wrong with the file; nothing if none was read."""
    found = []
    if env_file.warning:
        sentence, _, fix = env_file.warning.partition("\n")
        found.append(Finding("warn", "Settings", sentence, fix.strip(), id="settings.env_file_mode"))
    if env_file.path is not None:
        text = f"{env_file.path} sets {', '.join(env_file.taken) or 'no setting of this program'}"
        if env_file.overridden:
            text += f"; the environment sets {', '.join(env_file.overridden)}, so the file's value is not used"
        found.append(Finding("ok", "Settings", text, id="settings.env_file"))
    return found


def judge_redis(health: RedisHealth) -> list[Finding]:
    """Returns what the set-up of a Redis that can be used means for the syncs in it."""
    return [
        Finding("ok", "Redis", f"{health.server} answers", id="redis.connection"),
        *(
            Finding(one.verdict, "Redis", one.found, one.advice, id=f"redis.{one.code}")
            for one in review_health(health)
        ),
    ]


def judge_outbox(outbox: OutboxStatus, *, sends: bool) -> list[Finding]:
    """Returns whether the events of webhooks are delivered.

    Args:
        outbox: What Redis knows of the delivery of events.
        sends: Whether `WEBHOOK_URL` is set here.
    """
    if not (sends or outbox.wanted):
        return []
    if sends and not outbox.wanted:
        found = "WEBHOOK_URL is set here, but no worker that sends webhooks was seen"
        return [Finding("warn", "Webhooks", found, "Set it in the environment of every worker too.", id="webhooks")]
    found = f"{outbox.waiting:,} events wait for delivery; {outbox.lost:,} were given up"
    if outbox.error_at is not None and outbox.error_at >= (outbox.delivered_at or 0.0):
        advice = "Check the receiver, WEBHOOK_URL and WEBHOOK_SECRET."
        return [Finding("warn", "Webhooks", f"{found}; the last attempt failed: {outbox.error}", advice, id="webhooks")]
    return [Finding("ok", "Webhooks", found, id="webhooks")]


def measure_coverage(profiles: Sequence[object], rules: Rules = RECIPE, *, as_of: float) -> list[TraitCoverage]:
    """Returns how many of the entries of a page have each trait of the rules.

    Args:
        profiles: The entries of the page, as parsed from JSON.
        rules: Rules whose traits are looked for.
        as_of: Unix seconds, for the ages of dates.
    """
    traits, found = _traits(profiles), []
    for trait in rules.traits:
        its_reader = make_trait_reader(trait, as_of, rules.vocabulary(trait.name))
        column = its_reader.read(traits)
        usable = sum(value is not None for value in column.values)
        decides = trait.name in rules.compiled.deciding
        like = most_frequent_shapes(its_reader.unusable(traits[row]) for row in column.wrong)
        found.append(TraitCoverage(trait.name, trait.keys, usable, len(column.wrong), decides, like))
    return found


def judge_filter(profiles: Sequence[object], rules: Rules, *, as_of: float) -> list[Finding]:
    """Returns how many entries of a page the rules' filter keeps; nothing if they have none."""
    keep = rules.compiled.keep
    if keep is None:
        return []
    traits = _traits(profiles)
    columns = [
        make_trait_reader(rules.trait(name), as_of, rules.vocabulary(name)).read(traits).values
        for name in rules.compiled.filtering
    ]
    kept = sum(map(keep, *columns))
    text = f"the filter keeps {kept} of {len(traits)} profiles"
    if kept:
        return [Finding("ok", "Traits", text, id="traits.filter")]
    advice = "Correct `filter` in the clusters file: it leaves no profile for any cluster."
    return [Finding("fail", "Traits", text, advice, id="traits.filter")]


def judge_traits(found: Sequence[TraitCoverage], profiles: int, space_id: str) -> list[Finding]:
    """Returns what the traits of a page of a space mean for its clusters.

    Args:
        found: Coverage of each trait of the rules, from `measure_coverage`.
        profiles: How many entries the page has.
        space_id: Id of the space, for the advice.
    """
    if not any(trait.usable for trait in found if trait.decides):
        names = ", ".join("/".join(trait.keys) for trait in found if trait.decides)
        return [
            Finding(
                "fail",
                "Traits",
                f"no profile of the page has any of {names}, so none would be in a cluster",
                "Define them in Segment (Engage, Computed Traits), or get clusters for the traits that the space has: "
                f"segment-personas suggest {space_id} > clusters.toml",
                id="traits.deciding",
            )
        ]
    return [_judge_trait(trait, profiles) for trait in found]


def _judge_trait(trait: TraitCoverage, profiles: int) -> Finding:
    text = f"{' or '.join(trait.keys)}: in {trait.usable} of {profiles} profiles"
    if trait.unusable:
        text += f", unusable in {trait.unusable}" + (f", like {' and '.join(trait.like)}" if trait.like else "")
    name = f"traits.{trait.name}"
    if trait.usable:
        return Finding("ok", "Traits", text, id=name)
    return Finding(
        "warn",
        "Traits",
        text,
        "If profiles have this trait under another name, add that name to `keys` in the clusters file.",
        id=name,
    )


def judge_rate(limit: int | None, rate: int) -> Finding:
    """Compares the account's limit with `MAVERA_RATE`, both in requests a minute; limit None: not reported."""
    if limit is None:
        found = f"the key is good; Mavera does not report its limit, MAVERA_RATE is {rate} a minute"
        return Finding("ok", "Mavera", found, id="mavera.access")
    tier = f" (tier {MAVERA_TIERS[limit]})" if limit in MAVERA_TIERS else ""
    found = f"the key is good; {limit} requests a minute{tier}, MAVERA_RATE is {rate}"
    if limit < rate:
        return Finding(
            "warn", "Mavera", found, f"Set MAVERA_RATE={limit}, or Mavera will refuse requests.", id="mavera.access"
        )
    if limit > rate:
        return Finding("ok", "Mavera", found, f"MAVERA_RATE={limit} would be faster.", id="mavera.access")
    return Finding("ok", "Mavera", found, id="mavera.access")


def judge_usage(usage: Usage | None) -> list[Finding]:
    """Returns what the account has left, and whether it is enough for a persona.

    Args:
        usage: The account's usage; None if it cannot be read.
    """
    if usage is None:
        return [
            Finding(
                "ok", "Credits", "Mavera does not report the credits of the account (GET /usage)", id="mavera.credits"
            )
        ]
    found, available = [], usage.available
    if available is not None and available < CREDITS_PER_PERSONA:
        text = f"{usage.describe()}; a persona costs {CREDITS_PER_PERSONA}, so none can be created"
        advice = "Top up the account, raise its limit, or wait for its next billing period."
        found.append(Finding("warn", "Credits", text, advice, id="mavera.credits"))
    else:
        found.append(Finding("ok", "Credits", usage.describe(), id="mavera.credits"))
    if usage.budget_alert is not None:
        text = f"Mavera's budget alert is set to {usage.budget_alert:,}"
        found.append(Finding("ok", "Credits", text, id="mavera.budget_alert"))
    return found


def judge_personas(twins: Mapping[str, Sequence[str]], orphans: Sequence[Orphan], place: Owner) -> list[Finding]:
    """Returns what is wrong with the personas of a space.

    Args:
        twins: As of `find_twins`.
        orphans: Personas whose clusters are not in the rules.
        place: The space, and the rules.
    """
    found = [
        Finding("warn", "Personas", f"{describe_twins(ids, name)}.", id=f"personas.twins.{name}")
        for name, ids in twins.items()
    ]
    for orphan in orphans:
        text = describe_orphan(orphan.persona_id, orphan.cluster, place.rules, place.space_id, place.collection)
        found.append(Finding("warn", "Personas", text, id=f"personas.orphan.{orphan.persona_id}"))
    if found:
        return found
    text = "no persona exists twice, and none belongs to a removed cluster"
    return [Finding("ok", "Personas", text, id="personas.surplus")]


def judge_strategy(page_s: float, listing_s: float, rate: float) -> Finding:
    """Returns whether fan-out would pay.

    The chain waits for one page after the other; fan-out only for their listing, but it requests every page twice.

    Args:
        page_s: Seconds for a page with traits.
        listing_s: Seconds for a page without traits.
        rate: Allowed requests a second.
    """
    chain, fan_out = min(1 / page_s, rate), min(1 / listing_s, rate / 2)
    found = f"a page takes {page_s * 1000:.0f} ms, its listing {listing_s * 1000:.0f} ms, SEGMENT_RATE is {rate:g}"
    if fan_out < MIN_SPEEDUP * chain:
        return Finding("ok", "Strategy", f"{found}: fan-out would not be faster than the chain", id="strategy")
    advice = "To use it: `segment-personas sync --strategy fan-out`, with two workers or more."
    found = f"{found}: fan-out would read up to {fan_out / chain:.1f} × as fast"
    return Finding("ok", "Strategy", found, advice, id="strategy")


def describe_api_error(error: ApiError) -> tuple[str, str]:
    """Returns what happened, and what to do about it."""
    if isinstance(error, WaitUntil):
        return str(error), "The rate limit is used up, by this program or by others. Try again in a minute."
    if isinstance(error, Retry) and not error.hint:
        return str(error), "Check the base URL, and whether this machine may connect to it."
    return str(error), with_program_name(error.hint)


def _traits(profiles: Sequence[object]) -> list[Traits]:
    entries = [entry for entry in profiles if isinstance(entry, dict)]
    return [found if isinstance(found := entry.get("traits"), dict) else {} for entry in entries]
