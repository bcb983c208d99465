"""`python -m tests.support.processes.timed_out_worker SECONDS`: a worker whose jobs arq ends after so many seconds."""

from __future__ import annotations

import sys

from arq.worker import Function, func

from worker.__main__ import main
from worker.jobs import arq_worker
from worker.jobs.composition.tasks import finalize, walk
from worker.settings import Settings


def _functions(_: Settings) -> list[Function]:
    jobs = (("walk", walk), ("finalize", finalize))
    return [func(job, name=name, timeout=float(sys.argv[1]), keep_result=0, max_tries=10**9) for name, job in jobs]


if __name__ == "__main__":
    arq_worker.job_functions = _functions
    sys.exit(main([]))
