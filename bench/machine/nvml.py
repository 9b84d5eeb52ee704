"""What NVIDIA's driver says of its cards, by NVML: the package nvidia-ml-py, where it is installed.

Nothing here touches CUDA: no context is made, and nothing is taken of a card's memory. A question that a driver, a card
or a MIG instance cannot answer is answered with None.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError

NO_DRIVER = ("NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded")  # which a machine without a card answers too


class BrokenGpuError(UserError):
    """A GPU is here or was asked for, and cannot be used."""


@dataclass(frozen=True)
class Gpu:
    """A device that CUDA can compute on: a card, or an instance of one that is divided (MIG)."""

    name: str
    uuid: str | None  # GPU-... or MIG-...; None where torch alone was asked and is too old to tell
    memory: int  # bytes
    card: int  # the number of its card on this machine
    instance: str | None = None  # the older name of a MIG instance, MIG-GPU-.../1/0; None for a whole card


@dataclass(frozen=True)
class Cards:
    """All devices of the machine in the order of its bus, and the newest CUDA of its driver, 13000 for 13.0."""

    gpus: tuple[Gpu, ...]
    cuda: int | None


def cards() -> Cards | None:
    """The cards of this machine; None if NVML cannot tell, as its package or its driver is not here.

    Raises BrokenGpuError if it can, and a card or the driver does not answer.
    """
    with _nvml() as nvml:
        if nvml is None:
            return None
        try:
            found = [gpu for number, handle in enumerate(_handles(nvml)) for gpu in _devices(nvml, number, handle)]
            return Cards(tuple(found), _answer(nvml, "nvmlSystemGetCudaDriverVersion_v2"))
        except nvml.NVMLError as error:
            raise BrokenGpuError(f"a GPU of this machine does not answer ({_words(error)})") from error


def driver_version() -> str | None:
    """The version of the driver, "580.159.04"; None where there is none."""
    with _nvml() as nvml:
        return None if nvml is None else _text(_answer(nvml, "nvmlSystemGetDriverVersion"))


def free_bytes(uuid: str) -> int | None:
    """The memory of a device that nobody holds."""
    memory = _of_device(uuid, "nvmlDeviceGetMemoryInfo")
    return None if memory is None else int(memory.free)


def busy_share(uuid: str) -> float | None:
    """The share of the driver's last sample (up to a second) in which any kernel ran; None for a MIG instance."""
    rates = _of_device(uuid, "nvmlDeviceGetUtilizationRates")
    return None if rates is None else rates.gpu / 100


def processes(uuid: str) -> int | None:
    """How many processes compute on a device."""
    at_work = _of_device(uuid, "nvmlDeviceGetComputeRunningProcesses")
    return None if at_work is None else len(at_work)


def joules(uuid: str) -> float | None:
    """The energy that a card has taken since its driver was loaded; None before Volta."""
    spent = _of_device(uuid, "nvmlDeviceGetTotalEnergyConsumption")
    return None if spent is None else spent / 1000


def _handles(nvml: Any) -> Iterator[Any]:
    """The cards that this process may open: CUDA does not count those of other jobs either."""
    for number in range(nvml.nvmlDeviceGetCount()):
        try:
            yield nvml.nvmlDeviceGetHandleByIndex(number)
        except nvml.NVMLError as error:
            if type(error).__name__ != "NVMLError_NoPermission":
                raise


def _devices(nvml: Any, number: int, handle: Any) -> Iterator[Gpu]:
    """A card, or its instances if it is divided: the card itself is then no device."""
    uuid, name = _text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle))
    if not (_answer(nvml, "nvmlDeviceGetMigMode", handle) or (0, 0))[0]:
        yield Gpu(name or "", uuid, int(nvml.nvmlDeviceGetMemoryInfo(handle).total), number)
        return
    for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        part = _answer(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, place)
        if part is None:  # the place of an instance that nobody has made
            continue
        ids = _answer(nvml, "nvmlDeviceGetGpuInstanceId", part), _answer(nvml, "nvmlDeviceGetComputeInstanceId", part)
        older = f"MIG-{uuid}/{ids[0]}/{ids[1]}"
        memory = int(nvml.nvmlDeviceGetMemoryInfo(part).total)
        yield Gpu(_text(_answer(nvml, "nvmlDeviceGetName", part)) or name or "", _text(nvml.nvmlDeviceGetUUID(part)),
                  memory, number, older)  # fmt: skip


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVML's module between its start and its end; None without the package or the driver."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if type(error).__name__ not in NO_DRIVER:
            raise BrokenGpuError(f"the NVIDIA driver does not answer ({_words(error)})") from error
        yield None
        return
    try:
        yield pynvml
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _of_device(uuid: str, question: str) -> Any:
    with suppress(BrokenGpuError), _nvml() as nvml:
        if nvml is not None and (handle := _answer(nvml, "nvmlDeviceGetHandleByUUID", uuid)) is not None:
            return _answer(nvml, question, handle)
    return None


def _answer(nvml: Any, question: str, *arguments: Any) -> Any:
    """The answer to a question that not every driver or card can answer; None if it cannot."""
    try:
        return getattr(nvml, question)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def _text(value: str | bytes | None) -> str | None:
    """Versions of nvidia-ml-py before 11.515 give bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _words(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
