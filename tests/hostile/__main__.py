"""Print what became of each attack: `make hostile`."""

import sys
import tempfile
from pathlib import Path

from faulty import FaultyS3

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from stage import Stage

from hostile.attacks import ATTACKS
from hostile.neighbour import HONEST
from hostile.runs import HOSTILE, attacked

LIMIT_MIB = 256


def main() -> int:
    """One line an attack; 1 if one of them was not held, or took more memory than it may."""
    print("| attack | tried | held | daemon, MiB | worker, MiB | its job, s | neighbour, s |")
    print("|---|---|---|---|---|---|---|")
    is_held = True
    with FaultyS3() as server, tempfile.TemporaryDirectory() as folder:
        came = attacked(Stage(server, Path(folder)), next(iter(ATTACKS.values())), attackers=0)
    seconds = f"{came.honest['duration_seconds']:.1f}"
    print(f"| nobody attacks | | | {came.parent_mib} | {came.worker_mib} | | {seconds} |", flush=True)
    for name, attack in ATTACKS.items():
        with FaultyS3() as server, tempfile.TemporaryDirectory() as folder:
            stage = Stage(server, Path(folder))
            came = attacked(stage, attack)
            is_whole = set(stage.replica(HONEST)) == set(came.keys) and not stage.replica(HOSTILE)
        held = is_whole and came.honest["outcome"] == "ok" and came.reasons <= attack.reasons and bool(came.reasons)
        is_held &= held and max(came.parent_mib, came.worker_mib) < LIMIT_MIB
        seconds = [f"{job['duration_seconds']:.1f}" for job in (*came.harmed, came.honest)]
        figures = [str(came.parent_mib), str(came.worker_mib), *seconds]
        print(f"| {name} | 1 | {int(held)} | {' | '.join(figures)} |", flush=True)
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
