"""What the kernel knows of another process: its peak memory and the processor time that it has used. Linux only."""

from __future__ import annotations

import time
from pathlib import Path

_CPUCLOCK_SCHED = 2


def peak_memory_mib(pid: int) -> float:
    """The most resident memory that the process has had (`VmHWM`), in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"no process {pid} that has memory")


def cpu_s(pid: int) -> float:
    """Seconds of processor time that the process and its threads have used.

    `/proc/PID/stat` says the same in ticks of 10 ms, too coarse for an idle process. The clock id of another process is
    made as Linux' `clock_getcpuclockid` makes it.
    """
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
