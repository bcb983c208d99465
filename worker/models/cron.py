"""Computes the ticks of a cron expression in a time zone. Pure: every time is passed in, in Unix seconds.

Expressions have five fields and are read as Debian's cron reads them, also when clocks change. An expression of set
times (neither minute nor hour begins with `*`) whose time is skipped in spring comes due right after the gap; one whose
time comes twice in autumn comes due once, the first time. Other expressions follow the clock.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_LONGEST = 200
_FIELDS = "minute, hour, day of month, month and day of week"


class CronTimes:
    """The ticks of a cron expression.

    Args:
        expression: Five fields, such as `0 3 * * *`.
        timezone: A name of the IANA database, such as `Europe/Vienna`.

    Raises:
        ValueError: One of the two cannot be used; the message is a sentence.
    """

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        self._zone = _zone(timezone)
        self._expression = " ".join(expression.split())
        if len(expression) > _LONGEST or len(self._expression.split()) != 5:
            raise ValueError(f"a cron expression has five fields, {_FIELDS}, such as '0 3 * * *'")
        try:
            CronSim(self._expression, datetime.now(self._zone))
        except CronSimError as error:
            field = str(error).removeprefix("Bad ").replace("-", " ")
            raise ValueError(
                f"the {field} of the cron expression {self._expression!r} cannot be used; its fields are {_FIELDS}"
            ) from None

    def next_after(self, moment: float) -> float | None:
        """Returns the first tick after a moment; None if none comes within 50 years."""
        for tick in CronSim(self._expression, datetime.fromtimestamp(int(moment), self._zone)):
            # Times that a clock change repeats or skips can lie before the moment, or twice at the same one.
            if tick.timestamp() > moment:
                return tick.timestamp()
        return None

    def latest_until(self, moment: float) -> float | None:
        """Returns the last tick at or before a moment; None if none came within 50 years."""
        for tick in CronSim(self._expression, datetime.fromtimestamp(int(moment) + 1, self._zone), reverse=True):
            if tick.timestamp() <= moment:
                return tick.timestamp()
        return None

    def upcoming(self, moment: float, count: int) -> list[float]:
        """Returns the next ticks after a moment, at most `count`."""
        ticks: list[float] = []
        while len(ticks) < count and (tick := self.next_after(ticks[-1] if ticks else moment)) is not None:
            ticks.append(tick)
        return ticks


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(
            f"the time zone {name[:100]!r} is not known; use a name such as Europe/Vienna or UTC"
        ) from None
