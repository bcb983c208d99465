"""How syncs look: reports, bars; on wide and narrow screens, with and without colours."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from producer.cli.terminal import WIDE, Screen
from producer.cli.views.history import history_table
from producer.cli.views.live_view import live_view
from producer.cli.views.plan import plan_summary
from producer.cli.views.sync_report import sync_report
from producer.sandbox import SpaceSpec
from tests.support.screens import text
from tests.support.syncs.snapshots import OUTCOMES, START, completed, counted, fetching, queued
from tests.support.syncs.spaces import snapshot
from worker.clusters import Aggregate
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.plan import Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState


def failed(message: str) -> Sync:
    error = SyncFailure("mavera_unauthorized", message, resumable=True)
    return fetching(state=SyncState.FAILED, finished_at=START + 1, error=error)


def test_a_hint_that_the_next_step_repeats_is_not_shown() -> None:
    for code, is_shown in (("over_budget", False), ("table_shape", True)):
        error = SyncFailure(code, "What happened", resumable=True, hint="What to do")
        shown = text(*sync_report(fetching(state=SyncState.FAILED, finished_at=START + 1, error=error)))
        assert ("What happened" in shown, "What to do" in shown) == (True, is_shown)


def test_the_report_of_a_sample_says_what_it_means_for_everyone() -> None:
    aggregate = Aggregate.from_bytes(counted(SpaceSpec(60)))
    aggregate.left_out = 540
    request = SyncRequest(space_id="spa_1", sample=0.1)
    sync = completed(request=request, aggregate=aggregate.to_bytes(), profiles=600, complete=False)
    shown = text(*sync_report(sync), width=120)
    assert "│ High Value │      20 │    200 │ 23.2% to 45.3% │" in shown
    assert "│ New        │       0 │      0 │   0.0% to 5.4% │" in shown
    assert "A sample of 0.1 of the profiles; profiles read: 60." in shown
    nothing = text(*sync_report(fetching(request=request, aggregate=Aggregate(profiles=1, left_out=9).to_bytes())))
    assert "A sample of 0.1 of the profiles; profiles read: 1." in nothing


def test_the_report_of_a_finished_sync_has_a_table_and_says_what_was_charged() -> None:
    shown = text(*sync_report(completed()))
    assert "spa_1  syn_1  completed in 3.2 s" in shown
    assert "1 page, 60 profiles, 30/s; read 2023-11-1" in shown
    assert "│ High Value │       20 │ $1,200 │         5% │ created per_hv" in shown
    assert "│ New        │        0 │    n/a │        n/a │ none: no profile is in it" in shown
    assert "3 personas, 600 credits charged." in shown


def test_the_report_names_everything_that_could_not_be_used() -> None:
    dropped = (replace(OUTCOMES[0], ignored=("demographic",)),)
    shown = text(*sync_report(completed(aggregate=counted(SpaceSpec(2000, "mixed")), outcomes=dropped)))
    assert "Unusable values: churn_risk: " in shown
    assert "; ltv: " in shown
    assert ' like "aaa"' in shown
    assert "Entries that are not profiles: " in shown
    assert "profiles without any deciding trait: in no cluster." in shown
    assert "Mavera ignored fields of per_hv: demographic." in shown
    assert "1 persona, 600 credits charged." in shown


def test_the_report_of_a_running_sync_shows_its_rate_and_what_it_waits_for() -> None:
    shown = text(*sync_report(fetching(note="waiting for Segment's rate limit"), now=START + 2.5))
    assert "fetching for 2.0 s" in shown
    assert "60 profiles, 30/s" in shown
    assert "waiting for Segment's rate limit" in shown


def test_the_report_of_a_failed_sync_shows_the_message_to_the_letter() -> None:
    message = "401 [bold]no[/bold] \x1b[2J key :smile: (Request-Id req_1)"
    shown = text(*sync_report(failed(message)), width=200)
    assert "mavera_unauthorized: 401 [bold]no[/bold] �[2J key :smile: (Request-Id req_1)" in shown


def test_the_report_of_a_sync_that_has_not_begun_is_short() -> None:
    assert text(*sync_report(queued())).split("\n") == ["spa_1  syn_1  queued", "0 pages, 0 profiles", ""]


def test_in_fan_out_the_pages_that_are_known_are_shown() -> None:
    sync = replace(queued(), pages=8, pages_listed=40)
    assert text(*sync_report(sync)).split("\n")[1] == "8 pages of 40 listed, 0 profiles"
    assert "listed" not in text(*sync_report(replace(sync, pages=40)))


def test_the_report_says_if_not_the_whole_space_was_read() -> None:
    assert "only a part of the space, as requested" in text(*sync_report(completed(complete=False)))


def test_a_cluster_that_is_too_small_is_marked() -> None:
    request = SyncRequest(space_id="spa_1", min_cluster_size=21)
    assert "none: fewer than 21" in text(*sync_report(completed(request=request, outcomes=())))


def test_a_persona_that_is_left_as_it_was_says_why() -> None:
    small = PersonaOutcome("growth", "per_gr", "skipped", 0, reason="too_small")
    partial = PersonaOutcome("at_risk", "per_ar", "skipped", 0, reason="partial")
    unchanged = PersonaOutcome("high_value", "per_hv", "unchanged", 0)
    shown = text(*sync_report(completed(outcomes=(unchanged, small, partial), credits=0)), width=120)
    assert "unchanged per_hv" in shown
    assert "left per_gr: fewer than 3" in shown
    assert "left per_ar: it describes the whole space, and this sync only a part" in shown
    assert "1 persona, 0 credits charged." in shown
    assert "--allow-partial" in shown


@pytest.mark.parametrize("width", [30, 44, 60])
def test_a_narrow_screen_loses_no_persona_id(width: int) -> None:
    long = (replace(OUTCOMES[0], persona_id="per_0123456789abcdef"),)
    lines = text(*sync_report(completed(outcomes=long)), width=width).split("\n")
    lines = lines[2 : next(number for number, line in enumerate(lines) if "credits charged" in line)]
    assert max(map(len, lines)) <= width
    first = next(number for number, line in enumerate(lines) if "per_" in line)
    begin = lines[first].index("per_")
    column = "".join(line[begin:].strip() for line in lines[first:])
    assert column.startswith("per_0123456789abcdef")
    assert width < 60 or "per_0123456789abcdef" in lines[first]


def test_a_terminal_without_blocks_gets_ascii() -> None:
    shown = text(live_view(fetching(), None, 1.0), *sync_report(completed()), encoding="ascii")
    assert "####" in shown
    assert "?" not in shown


def test_a_report_shows_what_changed_and_leaves_out_what_hardly_did() -> None:
    sizes = {"high_value": 20, "growth": 30, "new": 10}
    shown = text(*sync_report(completed(baseline=snapshot(sizes, sync_id="syn_0"))))
    assert "Compared with syn_0, read until 2023-11-1" in shown
    assert ": 60 → 60 profiles." in shown
    assert "  Growth: 50.0% → 33.3%\n" in shown
    assert "  At Risk: 0.0% → 33.3%; new\n" in shown
    assert "  New: 16.7% → 0.0%; vanished\n" in shown
    assert "High Value: 33.3%" not in shown


def test_a_report_says_if_nothing_changed_much() -> None:
    same = snapshot({"high_value": 20, "growth": 20, "at_risk": 20})
    assert "No share of a cluster and no mean has changed much." in text(*sync_report(completed(baseline=same)))


def test_a_mean_moves_in_standard_deviations() -> None:
    before = snapshot({"high_value": 20, "growth": 20, "at_risk": 20}, means={"purchase_count": 3.5})
    shown = text(*sync_report(completed(baseline=before)))
    assert "  Growth: 33.3% → 33.3%; purchase_count -0." in shown


def test_a_plan_is_shown_with_reasons_fields_and_alarms() -> None:
    current = {"name": "Mine", "goals": ["a"]}
    growth = PlannedPersona(
        cluster="growth",
        action="update",
        reason="its name, text or fields have changed",
        persona_id="per_gr",
        credits=0,
        payload={"name": "Growth", "goals": ["a"]},
        current=current,
    )
    unread = growth.model_copy(update={"cluster": "at_risk", "persona_id": "per_ar", "current": None})
    left = growth.model_copy(update={"cluster": "high_value", "action": "leave", "reason": "nothing changed"})
    plan = Plan(personas=(growth, unread, left), alarms=("Half of it is gone",))
    sync = completed(request=SyncRequest(space_id="spa_1", plan_only=True), outcomes=(), plan=plan)
    shown = text(*sync_report(sync))
    assert "Growth: update per_gr (its name, text or fields have changed)\n  name Mine → Growth\n" in shown
    assert "At Risk: update per_ar (its name, text or fields have changed)\n  2 fields are sent" in shown
    assert "High Value: unchanged per_gr (nothing changed)\n" in shown
    assert "--details" in shown
    assert "Half of it is gone." in shown
    detailed = text(*sync_report(sync, details=True))
    assert "  - name: Mine\n  + name: Growth\n" in detailed
    assert "goals" not in detailed.split("At Risk: update")[0]
    assert "  + name: Growth\n  + goals: [" in detailed
    assert plan_summary([plan, plan]) == "update 4 personas, leave 2 personas unchanged"
    assert plan_summary([Plan()]) == "change nothing"


def test_a_history_has_a_row_for_each_sync() -> None:
    shown = text(
        history_table(
            [snapshot({"growth": 30, "new": 10}, sync_id="syn_2"), snapshot({"new": 10}, sync_id="syn_1")], 100
        )
    )
    assert re.search(r"syn_2 +40 +growth 75.0%, new 25.0%", shown)
    assert re.search(r"syn_1 +10 +new 100.0%", shown)


def test_a_narrow_history_has_a_line_for_each_cluster() -> None:
    shown = text(history_table([snapshot({"high_value": 30, "new": 10}, sync_id="syn_19337e961e5e6ec9")], 60), width=60)
    assert re.search(r"syn_19337e961e5e6ec9 +40 +high_value 75.0%\s*\n +new 25.0%", shown)


def test_a_long_key_stays_whole_where_the_output_is_not_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    keys = {f"{'long_key_' * 9}{n}": 30 for n in range(5)}
    stream = io.StringIO()
    Screen(stream).print_views(history_table([snapshot(keys, sync_id="syn_1")], WIDE))
    assert all(key in stream.getvalue() for key in keys)
