"""As many random transactions as there is time for: `python -m tests.views.long --transactions N`.

Each run of `EACH` transactions has its own seed, counted up from `--seed`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from tests.views.machine import machine

EACH = 1000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Random histories of tables and views.")
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures: Counter[str] = Counter()
    seed = options.seed
    begun = time.process_time()
    while figures["transactions"] < options.transactions:
        with machine(seed) as run:
            run.run(EACH)
        figures += run.figures
        print(f"seed {seed}: {figures['transactions']:,} transactions", flush=True)
        seed += 1
    print(f"{time.process_time() - begun:,.0f} s of CPU")
    for name, count in sorted(figures.items()):
        print(f"{count:9,}  {name}")


if __name__ == "__main__":
    main()
