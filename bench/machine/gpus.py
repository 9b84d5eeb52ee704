"""The GPUs that a run here may use: what CUDA_VISIBLE_DEVICES leaves of the machine's, or why they cannot be used.

NVML is asked first (bench.machine.nvml), which takes milliseconds. Where it cannot tell, or only CUDA knows the order
of cards that differ, torch is asked, in a process of its own: this one never touches a GPU.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench.machine import nvml
from bench.machine.nvml import BrokenGpuError, Gpu

VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
HIDING = ("", "none", "void", "nodevfiles")  # values that hide all, as a negative number does
CUDA_LIBRARY = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}  # the driver's part without which torch has no CUDA
DEVICES, BUS = Path("/dev"), Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"  # PCI's number of the vendor, and how the class of a graphics card begins
ON_THE_CPU = "BENCH_DEVICE=cpu computes on the CPU"
APPLE = (
    "Apple's GPUs (mps) are not used: nothing here has been compared with a CPU on one, Metal has no float64, and "
    "torch promises no deterministic algorithms there; BENCH_DEVICE=cpu computes on the CPU"
)
_ASK = """
import json, torch
torch.cuda.init()
found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
print(json.dumps([[one.name, str(getattr(one, "uuid", "")), one.total_memory] for one in found]))
"""
ASK_SECONDS = 120  # torch from a slow file system


def visible_gpus() -> tuple[Gpu, ...]:
    """The devices that a run here may use, cuda:0 first; () if there are none or they are hidden.

    Raises BrokenGpuError, in one line, if one was asked for and is not here, or is here and cannot be used.
    """
    return devices_left(os.environ.get(VISIBLE), os.environ.get(ORDER))


@cache
def devices_left(asked: str | None, order: str | None) -> tuple[Gpu, ...]:
    """`visible_gpus`, of the values of CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER; found out once for each."""
    names = _names(asked)
    if names == []:
        return ()
    there = nvml.cards()
    if there is None:
        found = _by_torch()
    else:
        if there.gpus:
            _refuse_unfit_torch(there)
        mixed = len({gpu.name for gpu in there.gpus if gpu.instance is None}) > 1 and order != "PCI_BUS_ID"
        by_number = names is None or any(name.isdigit() for name in names)
        # CUDA numbers cards that differ by their speed, so that only it knows which is the first.
        found = _by_torch() if mixed and by_number else _chosen(there.gpus, names)
    if names is not None and len(found) < len(names):
        raise _not_here(asked, found)
    return found


def _names(asked: str | None) -> list[str] | None:
    """The devices that CUDA_VISIBLE_DEVICES names, up to the first that hides the rest; None for all."""
    if asked is None:
        return None
    names = []
    for name in (part.strip() for part in asked.split(",")):
        if name.lower() in HIDING or name.startswith("-"):
            break
        names.append(name)
    return names


def _chosen(there: tuple[Gpu, ...], names: list[str] | None) -> tuple[Gpu, ...]:
    """The devices of these names: a card's number, the UUID of a card or an instance, or its unique beginning.

    The number of a divided card means its first instance, as it does for CUDA.
    """
    if names is None:
        return there
    chosen: list[Gpu] = []
    for name in names:
        if name.isdigit():
            fitting = [gpu for gpu in there if gpu.card == int(name)][:1]
        else:
            fitting = [gpu for gpu in there if name in (gpu.uuid, gpu.instance)]
            fitting = fitting or [gpu for gpu in there if (gpu.uuid or "").startswith(name)]
        if len(fitting) > 1:
            raise BrokenGpuError(f"{VISIBLE}: {name} is the beginning of {len(fitting)} UUIDs; {_listed(there)}")
        if not fitting:
            raise BrokenGpuError(f"{VISIBLE}: there is no GPU {name} here; {_listed(there)}")
        if fitting[0] in chosen:
            raise BrokenGpuError(f"{VISIBLE}: {name} is named a second time, and CUDA then shows no GPU at all")
        chosen += fitting
    return tuple(chosen)


def _listed(there: tuple[Gpu, ...]) -> str:
    if not there:
        return f"there is none; {ON_THE_CPU}"
    return "there are " + ", ".join(f"{gpu.card}: {gpu.name} ({gpu.uuid})" for gpu in there)


def _not_here(asked: str | None, found: tuple[Gpu, ...]) -> BrokenGpuError:
    several = f"only {len(found)} of those" if found else "none"
    return BrokenGpuError(f"{VISIBLE}={asked} asks for a GPU, and {several} can be seen here; {ON_THE_CPU}")


def _refuse_unfit_torch(there: nvml.Cards) -> None:
    """Raise BrokenGpuError if the installed torch cannot use these GPUs, which its build alone decides."""
    if (built := _cuda_of_torch()) is None:
        return
    seen = f"there {'is a GPU' if len(there.gpus) == 1 else f'are {len(there.gpus)} GPUs'} here ({there.gpus[0].name})"
    if not built:
        raise BrokenGpuError(f"{seen}, and this torch is built without CUDA: install one with it; {ON_THE_CPU}")
    if there.cuda is not None and there.cuda // 1000 < int(built.partition(".")[0]):
        newest = f"{there.cuda // 1000}.{there.cuda % 1000 // 10}"
        raise BrokenGpuError(
            f"{seen}, whose driver knows CUDA {newest} at most, and this torch is built for {built}: "
            f"update the driver, or install an older build; {ON_THE_CPU}"
        )


def _cuda_of_torch() -> str | None:
    """The CUDA that torch is built for, "" for none, read without importing it; None if it does not say."""
    spec = importlib.util.find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
    text = file.read_text() if file is not None and file.is_file() else ""
    values = dict(re.findall(r"^(cuda|hip)\b[^=\n]*= *'?([^'\n]*)", text, re.MULTILINE))
    if values.get("hip", "None") != "None" or "cuda" not in values:
        return None
    return "" if values["cuda"] == "None" else values["cuda"]


# ---- torch in a process of its own -----------------------------------------------------------------------------------


def _by_torch() -> tuple[Gpu, ...]:
    """What torch sees, CUDA_VISIBLE_DEVICES included; () on a machine without a card. Raises BrokenGpuError."""
    if not _has_driver():
        return ()
    try:
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=ASK_SECONDS)
        rows = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except subprocess.TimeoutExpired:
        raise BrokenGpuError(f"torch found no GPU in {ASK_SECONDS} s; {ON_THE_CPU}") from None
    if rows is not None:
        return tuple(Gpu(name, _uuid(uuid), int(memory), at) for at, (name, uuid, memory) in enumerate(rows))
    if not has_card():
        return ()
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), f"exit status {done.returncode}")
    raise BrokenGpuError(f"there is a GPU here that torch cannot use ({last.strip()}); {ON_THE_CPU}")


def _uuid(text: str) -> str | None:
    """The UUID as NVML writes it, of torch's, which has no prefix."""
    return None if not text else text if text.startswith(("GPU-", "MIG-")) else f"GPU-{text}"


def _has_driver() -> bool:
    """Whether CUDA's driver can be loaded, without which torch sees no GPU: most machines have none."""
    library = CUDA_LIBRARY.get(sys.platform)
    try:
        return library is not None and ctypes.CDLL(library) is not None
    except OSError:
        return False


def has_card() -> bool:
    """Whether the machine has an NVIDIA card, working or not: its device files, WSL's, or the PCI bus show it."""
    if any(DEVICES.glob("nvidia[0-9]*")) or (DEVICES / "dxg").exists():
        return True
    return any(
        vendor.read_text().strip() == NVIDIA and vendor.with_name("class").read_text().startswith(DISPLAY)
        for vendor in BUS.glob("*/vendor")
    )
