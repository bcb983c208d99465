"""`python -m tests.chaos --rounds N --seed S`: the long run. Stops at the first round that does not hold."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from tests.chaos.rounds import Round
from tests.chaos.runs import RunsRound
from tests.chaos.spaces.warehouse_space import is_installed

KINDS = {"workers": Round, "runs": RunsRound}


def main() -> int:
    """Runs the rounds; 0 if all of them held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on")
    parser.add_argument("--trouble", type=float, default=6, help="seconds for which faults go on")
    parser.add_argument("--only", choices=KINDS, help="only rounds of this kind; default: each round has both")
    arguments = parser.parse_args()
    for seed in range(arguments.seed, arguments.seed + arguments.rounds):
        for kind, round_of_kind in KINDS.items():
            if arguments.only not in (None, kind):
                continue
            options = {"warehouse": is_installed()} if kind == "workers" else {}
            folder = Path(tempfile.mkdtemp(prefix="chaos-"))
            try:
                report = asyncio.run(round_of_kind(seed, folder, trouble_s=arguments.trouble, **options).run())
                print(f"{kind}: {report}", flush=True)
            except Exception:
                traceback.print_exc()
                print(f"round {seed} of {kind} does not hold; its logs are in {folder}", flush=True)
                return 1
            shutil.rmtree(folder)
    print(f"{arguments.rounds} rounds held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
