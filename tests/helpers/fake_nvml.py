"""A stand-in for NVML's Python package and for machines with other cards than this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

GB = 10**9


class NVMLError(Exception):
    """The base class of NVML's errors, which are known by the names of their classes."""


def error(name: str, text: str) -> NVMLError:
    """An error of NVML, as `NVMLError_NotFound`."""
    kind: type[NVMLError] = type(f"NVMLError_{name}", (NVMLError,), {})
    return kind(text)


@dataclass
class Device:
    """A card, with its instances if it is divided, or an instance."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    memory: int = 80 * GB
    free: int = 79 * GB
    busy: int = 0  # per cent
    at_work: int = 0  # processes
    millijoules: int = 0
    parts: dict[int, Device] = field(default_factory=dict)  # place -> MIG instance
    lost: bool = False
    forbidden: bool = False


def fake_nvml(*cards: Device, cuda: int = 13000, start: NVMLError | None = None) -> ModuleType:
    """A module to be put in the place of `pynvml`: the questions that bench.machine.nvml asks."""
    nvml: Any = ModuleType("pynvml")
    nvml.NVMLError = NVMLError
    devices = {one.uuid: one for card in cards for one in (card, *card.parts.values())}

    def init() -> None:
        if start is not None:
            raise start

    def by_index(number: int) -> Device:
        if cards[number].lost:
            raise error("GpuIsLost", "GPU is lost")
        if cards[number].forbidden:
            raise error("NoPermission", "Insufficient Permissions")
        return cards[number]

    def by_uuid(uuid: str) -> Device:
        if uuid not in devices:
            raise error("NotFound", "Not Found")
        return devices[uuid]

    def part(card: Device, place: int) -> Device:
        if place not in card.parts:
            raise error("NotFound", "Not Found")
        return card.parts[place]

    def utilization(device: Device) -> Any:
        if device.uuid.startswith("MIG"):
            raise error("NotSupported", "Not Supported")
        return SimpleNamespace(gpu=device.busy)

    def place(device: Device) -> int:
        return next(at for card in cards for at, one in card.parts.items() if one is device)

    nvml.nvmlInit, nvml.nvmlShutdown = init, lambda: None
    nvml.nvmlDeviceGetCount = lambda: len(cards)
    nvml.nvmlDeviceGetHandleByIndex, nvml.nvmlDeviceGetHandleByUUID = by_index, by_uuid
    nvml.nvmlDeviceGetUUID, nvml.nvmlDeviceGetName = lambda one: one.uuid, lambda one: one.name
    nvml.nvmlDeviceGetMemoryInfo = lambda one: SimpleNamespace(total=one.memory, free=one.free)
    nvml.nvmlDeviceGetMigMode = lambda one: [int(bool(one.parts)), 0]
    nvml.nvmlDeviceGetMaxMigDeviceCount, nvml.nvmlDeviceGetMigDeviceHandleByIndex = lambda one: 7, part
    nvml.nvmlDeviceGetGpuInstanceId, nvml.nvmlDeviceGetComputeInstanceId = place, lambda one: 0
    nvml.nvmlDeviceGetUtilizationRates = utilization
    nvml.nvmlDeviceGetComputeRunningProcesses = lambda one: [None] * one.at_work
    nvml.nvmlDeviceGetTotalEnergyConsumption = lambda one: one.millijoules
    nvml.nvmlSystemGetCudaDriverVersion_v2 = lambda: cuda
    nvml.nvmlSystemGetDriverVersion = lambda: "580.159.04"
    return nvml
