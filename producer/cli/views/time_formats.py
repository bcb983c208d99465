"""Times and durations as people read them; times in the time zone of this machine."""

from __future__ import annotations

from datetime import datetime


def local_time(moment: float) -> str:
    """Unix seconds as date and time of this machine's zone, with the zone's name."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def time_span(start: float, end: float) -> str:
    """Two moments in this machine's zone, the second without the day if it is the same."""
    first, last = local_time(start), local_time(end)
    day, time, zone_name = first.split(" ", 2)
    if last.startswith(day) and last.endswith(f" {zone_name}"):
        return f"{day} {time} to {last.split(' ')[1]} {zone_name}"
    return f"{first} to {last}"


def short_time(moment: float) -> str:
    """Unix seconds as month, day and minute in this machine's zone, for a narrow column under `zone`."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%m-%d %H:%M")


def zone() -> str:
    """Returns the name of this machine's time zone now."""
    return datetime.now().astimezone().strftime("%Z")


def format_duration(duration_s: float) -> str:
    """Returns a duration in seconds as text: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
