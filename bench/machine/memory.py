"""Memory in bytes: what a run has needed at most, and what this machine or job has left.

Read from the kernel's own files. Where there are none (another operating system) the answer is None, and no run waits
for memory.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path

from bench.machine import nvml

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits")


def reset_peak() -> None:
    """Forget this process's peak so far, so that a worker measures each of its runs by itself."""
    with suppress(OSError):
        (PROC / "self" / "clear_refs").write_text("5")


def peak_bytes() -> int | None:
    """The most memory this process has had resident since `reset_peak`."""
    return _kilobytes(PROC / "self" / "status", "VmHWM")


def resident_bytes(pid: int) -> int | None:
    """What another process has resident now; None if it is gone."""
    return _kilobytes(PROC / str(pid) / "status", "VmRSS")


def available_bytes() -> int | None:
    """What new processes can have here: the machine's free memory, or less where a control group sets a limit."""
    limits = [_kilobytes(PROC / "meminfo", "MemAvailable"), _left_in_cgroup()]
    numbers = [value for value in limits if value is not None]
    return min(numbers) if numbers else None


def free_gpu_bytes(uuid: str | None) -> int | None:
    """Free memory of the GPU of this UUID; None where neither NVML nor nvidia-smi can tell."""
    if uuid is None:
        return None
    if (free := nvml.free_bytes(uuid)) is not None:
        return free
    try:
        done = subprocess.run([*NVIDIA_SMI, f"--id={uuid}"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = done.stdout.strip()
    return int(text) * 2**20 if done.returncode == 0 and text.isdigit() else None


def _left_in_cgroup() -> int | None:
    """Limit minus use of this process's control group (version 2: the path after the two colons)."""
    with suppress(OSError, ValueError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            if line.startswith("0::"):
                folder = CGROUPS / line[3:].strip("/")
                limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
                return None if limit == "max" else max(0, int(limit) - int(used))
    return None


def _kilobytes(path: Path, key: str) -> int | None:
    with suppress(OSError):
        match = re.search(rf"^{key}:\s+(\d+) kB$", path.read_text(), re.MULTILINE)
        return int(match[1]) * 1024 if match else None
    return None
