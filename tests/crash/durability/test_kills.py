"""Real processes that write under load and are killed: what they said was durable is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from reifydb.config import Options
from reifydb.durability import open_log
from tests.crash.durability.histories import check_prefix

ROUNDS = 12

WRITER = """
import sys
from reifydb.config import Options
from reifydb.durability import open_log
from tests.crash.durability.histories import group
log = open_log(sys.argv[1], Options(segment_bytes_max=100_000, reserve_bytes=4096))
log.start()
said = log.durable_lsn
while True:
    log.admit()
    log.append(group(log.lsn + 1, 3))
    if log.durable_lsn > said:
        said = log.durable_lsn
        print(said, log.lsn, flush=True)
"""


def test_what_a_killed_process_said_was_durable_is_there(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    last = 0
    for incarnation in range(1, ROUNDS + 1):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout
            lines = [writer.stdout.readline() for _ in range(dice.randrange(1, 30))]
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.readlines()
        whole = [line for line in lines if line.endswith("\n")]
        durable = int(whole[-1].split()[0])
        log = open_log(str(tmp_path), Options(reserve_bytes=4096))
        assert log.incarnation == incarnation + 1
        recovered = check_prefix(list(log.replay()))
        log.close()
        assert recovered >= durable > last
        last = recovered
