"""Trials in a process of their own: whatever kills it is a failed test, not a dead run.

`Worker.run("module:function", …)` calls that function with JSON arguments in the worker and gives
back what it returns. A worker that has died, or does not answer in time, fails that one trial; the
next one gets a new worker. Run as a program this is the worker.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from typing import Any

ANSWER_S_MAX = 120
"""Far more than any trial takes: a machine may be busy, but a trial must not hang."""


class TrialError(AssertionError):
    """A trial failed, in words."""


class Worker:
    """A process that runs trials one by one; it is started with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, trial: str, *arguments: object) -> Any:
        """Runs a trial and returns what it returned.

        Raises:
            TrialError: It failed, or took the process down.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([trial, *arguments]) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], ANSWER_S_MAX)
            line = process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = [process.stdout], ""
        if line:
            answer = json.loads(line)
            if "failure" in answer:
                raise TrialError(answer["failure"])
            return answer["value"]
        if not ready:
            process.kill()
        status = process.wait()
        self.close()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        why = f"the process died ({how})" if ready else f"no answer within {ANSWER_S_MAX} s"
        raise TrialError(f"{trial} {arguments}: {why}")

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        return self._process

    def close(self) -> None:
        """Ends the process; twice is fine."""
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answer(line: str) -> dict[str, object]:
    name, *arguments = json.loads(line)
    module, _, function = name.partition(":")
    try:
        return {"value": getattr(importlib.import_module(module), function)(*arguments)}
    except BaseException:
        return {"failure": traceback.format_exc()}


def main() -> None:
    """Answers one line after the other; what trials print goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        out.write(json.dumps(_answer(line)) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
