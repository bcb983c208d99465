"""Pauses between attempts to deliver an event."""

from __future__ import annotations

from worker.jobs.background.webhook_deliverer import GIVE_UP_S, LONGEST_S, gives_up, retry_delay_s


def test_pauses_grow_fourfold_up_to_four_hours() -> None:
    pauses = [retry_delay_s(attempts, 0.5) for attempts in range(1, 10)]
    assert pauses[:4] == [5, 20, 80, 320]
    assert pauses[-1] == retry_delay_s(1000, 0.5) == LONGEST_S


def test_an_event_is_sent_about_a_dozen_times_within_a_day() -> None:
    moment, attempts = 0.0, 1
    while not gives_up(0.0, moment + retry_delay_s(attempts, 0.5)):
        moment += retry_delay_s(attempts, 0.5)
        attempts += 1
    assert 10 <= attempts <= 14
    assert moment > GIVE_UP_S / 2


def test_pauses_vary_by_a_quarter() -> None:
    assert (retry_delay_s(2, 0.0), retry_delay_s(2, 1.0)) == (15, 25)


def test_the_receiver_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() -> None:
    assert retry_delay_s(1, 0.5, 90) == 90
    assert retry_delay_s(3, 0.5, 1) == 80
    assert retry_delay_s(1, 0.5, 1e9) == LONGEST_S
