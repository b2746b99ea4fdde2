"""CPU time and memory of `vamp serve` beside whole commands: python experiments/serve.py

A 2-s inpaint, by commands and by requests in turn. Linux only: the figures are from /proc.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SONG = "examples/island-dreams.wav"
VAMP = [sys.executable, "-m", "vampcli"]
N = 5


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def ask(process: "subprocess.Popen[bytes]", **options: Any) -> None:
    request = {"command": "inpaint", "inputs": [SONG], "options": {"span": ["4-6"], "overwrite": True, **options}}
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    while (line := json.loads(process.stdout.readline()))["event"] != "done":
        pass
    assert line["exit_code"] == 0


def command_s(folder: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = ["--span", "4-6", "--overwrite", "-q", "-o", f"{folder}/", "--seed", "0"]
    subprocess.run([*VAMP, "inpaint", SONG, *options], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


with tempfile.TemporaryDirectory() as folder:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*VAMP, "serve", "--stdio"], **pipes) as server:
        assert server.stdout
        server.stdout.readline()
        started_s = cpu_s(server.pid)
        requests, commands, peaks = [], [], [peak_mb(server.pid)]
        for _ in range(N):
            commands.append(command_s(folder))
            before_s = cpu_s(server.pid)
            ask(server, out=f"{folder}/", seed=0)
            requests.append(cpu_s(server.pid) - before_s)
            peaks.append(peak_mb(server.pid))
        assert server.stdin
        server.stdin.close()
command = statistics.median(commands)
sys.stdout.write(f"CPU seconds: command {command:.2f} (median of {N}), start of the server {started_s:.2f}\n")
sys.stdout.write(
    f"requests: {', '.join(f'{one:.2f}' for one in requests)}; second / command = {requests[1] / command:.2f}\n"
)
sys.stdout.write(f"peak memory in MB, after the start and each request: {', '.join(f'{one:.0f}' for one in peaks)}\n")
