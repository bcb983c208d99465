"""`python -m tests.chaos.worker_process PLAN`: a worker like any other, but for how it ends."""

from __future__ import annotations

import sys

from tests.chaos.points import arm
from worker.__main__ import main

if __name__ == "__main__":
    arm(sys.argv[1])
    sys.exit(main([]))
