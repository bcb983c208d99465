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


def main() -> int:
    """Runs the rounds; 0 if all of them held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on")
    arguments = parser.parse_args()
    for seed in range(arguments.seed, arguments.seed + arguments.rounds):
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        try:
            print(asyncio.run(Round(seed, folder).run()), flush=True)
        except Exception:
            traceback.print_exc()
            print(f"round {seed} does not hold; its logs are in {folder}", flush=True)
            return 1
        shutil.rmtree(folder)
    print(f"{arguments.rounds} rounds held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
