"""What the benchmark makes of its runs: medians, goals, tables; and how it tells Redis' commands apart."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import pytest
from rich.console import Console

from producer.sandbox import Fault, SandboxOptions, SpaceSpec
from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.bench.figures import all_figures
from tests.bench.plot import svg
from tests.bench.report import document, markdown, number, table
from tests.bench.results import FigureResult, Spread, gather
from tests.bench.sandbox_process import decode, encode
from tests.bench.traffic import Command, Purpose, count, purpose, script_names
from tests.support.servers.redis_server import RedisServer


class _Figure:
    name = "speed"
    title = "How fast"

    def __init__(self, *goals: Goal, plot: Plot | None = None) -> None:
        self.goals: Sequence[Goal] = goals
        self.plot = plot

    def measure(self, redis: RedisServer) -> list[Sample]:
        raise NotImplementedError


def _run(seconds: float, ratio: float | None = None) -> list[Sample]:
    return [Sample("ours", seconds, "s", ratio, "the floor" if ratio else "")]


def _gathered(*goals: Goal, plot: Plot | None = None) -> FigureResult:
    return gather(_Figure(*goals, plot=plot), [_run(3.0, 1.5), _run(1.0, 1.01), _run(2.0, 1.02)])


def test_a_row_is_the_median_of_its_runs_with_minimum_and_maximum() -> None:
    (row,) = _gathered().rows
    assert row.value == Spread(2.0, 1.0, 3.0)
    assert row.ratio == Spread(1.02, 1.01, 1.5)
    assert row.met is None


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("ours", of="ratio", bound=1.02), True),
        (Goal("ours", of="ratio", bound=1.01), False),
        (Goal("ours", of="value", bound=2.0), True),
        (Goal("ours", of="value", bound=2.0, at="least"), True),
        (Goal("ours", of="value", bound=2.1, at="least"), False),
    ],
)
def test_a_goal_is_judged_by_the_median(goal: Goal, met: bool) -> None:
    (row,) = _gathered(goal).rows
    assert row.met is met


@pytest.mark.parametrize(
    ("goals", "runs"),
    [
        ([], [_run(1.0), [Sample("other", 1.0, "s")]]),
        ([], [_run(1.0) * 2]),
        ([], [_run(1.0, 1.0), _run(1.0)]),
        ([Goal("ours", of="ratio", bound=1)], [_run(1.0)]),
        ([Goal("theirs", of="value", bound=1)], [_run(1.0)]),
    ],
    ids=["other rows", "a row twice", "a ratio once", "a goal without ratio", "a goal without row"],
)
def test_runs_that_do_not_fit_together_are_refused(goals: list[Goal], runs: list[list[Sample]]) -> None:
    with pytest.raises(BenchError):
        gather(_Figure(*goals), runs)


def test_every_report_shows_what_was_missed() -> None:
    result = _gathered(Goal("ours", of="ratio", bound=1.01))
    text = io.StringIO()
    Console(file=text, width=150).print(table(result))
    assert "1.02 × (1.01 to 1.5)" in text.getvalue()
    assert "MISSED" in text.getvalue()
    line = "| ours | 2 | 1 | 3 | s | 1.02 × (1.01 to 1.5) | the floor | ≤ 1.01 × | MISSED |"
    assert line in markdown([result], 3).splitlines()
    (figure,) = document([result], 3)["figures"]
    assert figure["rows"][0]["values"] == [3.0, 1.0, 2.0]
    assert figure["rows"][0]["goal"]["met"] is False


def test_a_drawing_has_a_bar_with_its_spread_and_a_line_for_its_goal() -> None:
    plot = Plot("ratio", rows=("ours",), ours=("ours",))
    drawn = svg([_gathered(Goal("ours", of="ratio", bound=2), plot=plot)], "five runs of <this> & that")
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text and element.text.strip()]
    assert texts == ["How fast", "ours", "1.02 ×, goal ≤ 2 ×", "five runs of <this> & that"]
    bar = re.search(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
    spread, goal = re.search(r'd="M([\d.]+) \S+L([\d.]+) ', drawn), re.search(r'd="M([\d.]+) .*dash', drawn)
    assert bar
    assert spread
    assert goal
    left, width = map(float, bar.groups())
    least, most = (float(end) - left for end in spread.groups())
    assert [least / width, most / width, (float(goal[1]) - left) / width] == pytest.approx(
        [1.01 / 1.02, 1.5 / 1.02, 2 / 1.02], rel=0.01
    )


def test_what_names_nothing_to_draw_is_not_drawn() -> None:
    assert "How fast" not in svg([_gathered()], "")
    with pytest.raises(BenchError, match="theirs"):
        _gathered(plot=Plot("value", rows=("theirs",), ours=()))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.00001234, "0"), (0.2375, "0.2375"), (5.3112, "5.311"), (999.96, "1,000"), (194174.8, "194,175")],
)
def test_a_number_has_at_most_four_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_the_figures_are_found_and_named_once() -> None:
    names = [figure.name for figure in all_figures()]
    assert names == sorted(set(names))
    assert {"chain", "memory"} <= set(names)


def test_a_sandbox_process_gets_its_options_whole() -> None:
    options = SandboxOptions({"spa_1": SpaceSpec(60)}, SpaceSpec(10, "wide", 3), latency_s=0.05)
    assert decode(encode(options)) == options
    assert decode(encode(SandboxOptions({}))) == SandboxOptions({})
    with pytest.raises(ValueError, match="no faults"):
        encode(SandboxOptions({}, faults=(Fault("segment", "drop"),)))


def test_the_purpose_of_each_command_follows_from_its_script_or_key() -> None:
    names = script_names()
    sha = {name: digest for digest, name in names.items()}
    expected = {
        ("EVALSHA", sha["sync/commit"], "5", "sp:sync:syn_1"): Purpose.READING,
        ("EVALSHA", sha["sync/heartbeat"], "2", "sp:sync:syn_1"): Purpose.READING,
        ("EVALSHA", sha["ratelimit/reserve_slot"], "2", "sp:limit:segment:spa_1"): Purpose.READING,
        ("EVALSHA", sha["ratelimit/reserve_slot"], "2", "sp:limit:mavera:live"): Purpose.SYNC,
        ("EVALSHA", sha["sync/begin"], "3", "sp:sync:syn_1"): Purpose.SYNC,
        ("HVALS", "sp:sync:syn_1:outcomes"): Purpose.SYNC,
        ("INFO", "server"): Purpose.SYNC,
        ("EVALSHA", sha["queue/take_jobs"], "1", "sp:queue"): Purpose.POLLING,
        ("BLPOP", "sp:wake", "0.5"): Purpose.POLLING,
        ("GET", "arq:job:1"): Purpose.ARQ,
        ("ZREM", "sp:queue", "1"): Purpose.ARQ,
        ("EVALSHA", sha["sync/commit_listing"], "5", "sp:sync:syn_1"): Purpose.READING,
        ("EVALSHA", sha["batch/count"], "5", "sp:sync:syn_1"): Purpose.READING,
        ("EVALSHA", sha["watchdog/revive_sync"], "2", "sp:sync:syn_1"): Purpose.HOUSEKEEPING,
        ("EVALSHA", sha["watchdog/revive_batch"], "2", "sp:sync:syn_1"): Purpose.HOUSEKEEPING,
        ("SET", "sp:watch", "1"): Purpose.HOUSEKEEPING,
        ("PSETEX", "sp:host:h", "1"): Purpose.HOUSEKEEPING,
        ("TIME",): Purpose.HOUSEKEEPING,
    }
    assert {words: purpose(words, names) for words in expected} == expected


def test_a_transaction_is_for_what_its_first_command_is_for() -> None:
    seen = [
        Command("a", ("MULTI",)),
        Command("b", ("TIME",)),
        Command("a", ("DEL", "arq:in-progress:1")),
        Command("a", ("ZREM", "sp:due", "1")),
        Command("a", ("EXEC",)),
        Command("a", ("HGET", "sp:personas:live")),
    ]
    assert count(seen, {}) == {Purpose.ARQ: 4, Purpose.HOUSEKEEPING: 1, Purpose.SYNC: 1}
