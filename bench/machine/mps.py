"""NVIDIA's Multi-Process Service: whether it runs here, so that several processes compute on one card side by side.

CUDA uses a service that runs, without being told. Without one the processes of a card take turns.
"""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = "CUDA_MPS_PIPE_DIRECTORY"
USUAL = "/tmp/nvidia-mps"
PID = "nvidia-cuda-mps-control.pid"


def mps_runs() -> bool:
    """Whether the service's folder has its pipe, and the process that it names is alive."""
    folder = Path(os.environ.get(DIRECTORY) or USUAL)
    try:
        number = int((folder / PID).read_text())
        os.kill(number, 0)
    except PermissionError:
        return (folder / "control").exists()  # it is somebody else's
    except (OSError, ValueError):
        return False
    return (folder / "control").exists()
