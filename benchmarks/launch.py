"""Run a command, and write what it took: `python launch.py RESULT COMMAND ...`.

A separate and small process: what a process had in memory when it started another counts as the other's peak.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main(result: str, *command: str) -> int:
    """Give the command's exit code; the result is a table in a file."""
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    took = {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * unit / 1e6,
    }
    with open(result, "w", encoding="utf-8") as file:
        json.dump(took, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
