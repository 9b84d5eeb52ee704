"""Which GPUs a machine has for us: by NVML, by CUDA's variables, by torch in a child, and when none may be used."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bench.launch.local.devices import place_of, slots
from bench.machine import gpus, memory, nvml
from bench.machine.gpus import visible_gpus
from bench.machine.nvml import BrokenGpuError
from fake_nvml import GB, Device, error

FIRST, SECOND, THIRD = (Device(f"GPU-{name}-1111", free=free * GB) for name, free in (("aa", 70), ("ab", 5), ("c", 3)))
HALVES = Device(
    "GPU-d-2222",
    parts={0: Device("MIG-e-3333", memory=40 * GB, free=39 * GB), 2: Device("MIG-f-4444", memory=20 * GB)},
)


def uuids():
    return [gpu.uuid for gpu in visible_gpus()]


def refusal(call=visible_gpus):
    with pytest.raises(BrokenGpuError) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def as_torch(monkeypatch, tmp_path):
    """A machine whose NVML cannot be asked: torch is, by another program here."""

    def put(program):
        (tmp_path / "python").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setattr(gpus, "CUDA_LIBRARY", {sys.platform: "libc.so.6"})  # a library that loads
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        gpus.devices_left.cache_clear()

    return put


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, [FIRST, SECOND, THIRD]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2, 0", [THIRD, FIRST]),
        ("1,-1,0", [SECOND]),
        ("GPU-c-1111", [THIRD]),
        ("GPU-c,1", [THIRD, SECOND]),
    ],
)
def test_what_the_variable_leaves(machine, monkeypatch, asked, found):
    machine(FIRST, SECOND, THIRD)
    if asked is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    assert uuids() == [one.uuid for one in found]
    assert slots(None) == [f"cuda:{at}" for at in range(len(found))] or (not found and set(slots(None)) == {"cpu"})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("7", "there is no GPU 7 here; there are 0: NVIDIA H100 80GB HBM3 (GPU-aa-1111), 1: "),
        ("GPU-x", "there is no GPU GPU-x here"),
        ("GPU-a", "GPU-a is the beginning of 2 UUIDs"),
        ("0,GPU-aa", "GPU-aa is named a second time"),
    ],
)
def test_a_gpu_that_is_asked_for_and_not_here_is_refused(machine, monkeypatch, asked, words):
    machine(FIRST, SECOND)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    assert words in refusal()


def test_cards_of_others_are_not_counted(machine, monkeypatch):
    """A job's control group forbids them; CUDA numbers those that are left."""
    machine(Device("GPU-z", forbidden=True), FIRST, SECOND)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert uuids() == [SECOND.uuid]


def test_the_instances_of_a_divided_card_are_devices(machine, monkeypatch):
    """A worker of one is shown it alone: CUDA gives a process one of them at most."""
    machine(FIRST, HALVES)
    assert uuids() == [FIRST.uuid, "MIG-e-3333", "MIG-f-4444"]
    assert [gpu.memory // GB for gpu in visible_gpus()] == [80, 40, 20]
    assert [place_of(device) for device in slots(None)] == [
        ("cuda:0", {}),
        ("cuda:0", {"CUDA_VISIBLE_DEVICES": "MIG-e-3333"}),
        ("cuda:0", {"CUDA_VISIBLE_DEVICES": "MIG-f-4444"}),
    ]
    assert nvml.busy_share("MIG-e-3333") is None and nvml.free_bytes("MIG-e-3333") == 39 * GB
    # By UUID, by its older name, and by the card's number, which means the first
    for name, uuid in (("MIG-f", "MIG-f-4444"), ("MIG-GPU-d-2222/2/0", "MIG-f-4444"), ("1", "MIG-e-3333")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", name)
        assert uuids() == [uuid]


def test_a_gpu_that_is_broken_is_no_reason_for_the_cpu(machine, monkeypatch):
    machine(start=error("LibRmVersionMismatch", "RM has detected an NVML/RM version mismatch."))
    assert "driver does not answer (RM has detected" in refusal() and refusal() == refusal(lambda: slots(4))
    machine(FIRST, Device("GPU-b", lost=True))
    assert refusal() == "a GPU of this machine does not answer (GPU is lost)"
    monkeypatch.setenv("BENCH_DEVICE", "cpu")
    assert slots(2) == ["cpu", "cpu"]


@pytest.mark.parametrize(
    ("built", "words"),
    [
        ("None", "there is a GPU here (NVIDIA H100 80GB HBM3), and this torch is built without CUDA"),
        ("'13.0'", "whose driver knows CUDA 12.8 at most, and this torch is built for 13.0: update the driver"),
        ("'12.9'", None),
    ],
)
def test_a_torch_that_cannot_use_the_gpu_is_told_before_anything_starts(machine, monkeypatch, tmp_path, built, words):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    lines = f"debug = False\ncuda: Optional[str] = {built}\nhip: Optional[str] = None\n"
    (tmp_path / "torch" / "version.py").write_text(lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    machine(FIRST, cuda=12080)
    assert words in refusal() if words else uuids() == [FIRST.uuid]


def test_without_nvml_torch_is_asked_in_a_process_of_its_own(machine, monkeypatch, as_torch):
    machine(start=error("LibraryNotFound", "NVML Shared Library Not Found"))
    as_torch('echo "a warning"; echo \'[["RTX 4090", "3b1f", 25000000000], ["RTX 4080", "", 16000000000]]\'')
    assert [(gpu.name, gpu.uuid) for gpu in visible_gpus()] == [("RTX 4090", "GPU-3b1f"), ("RTX 4080", None)]
    assert slots(None) == ["cuda:0", "cuda:1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert refusal().startswith("CUDA_VISIBLE_DEVICES=0,1,2 asks for a GPU, and only 2 of those can be seen here")


def test_torch_that_fails_beside_a_card_is_a_broken_gpu(machine, monkeypatch, as_torch, tmp_path):
    machine(start=error("DriverNotLoaded", "Driver Not Loaded"))
    as_torch("echo 'RuntimeError: CUDA unknown error' >&2; exit 1")
    monkeypatch.setattr(gpus, "DEVICES", tmp_path)
    monkeypatch.setattr(gpus, "BUS", tmp_path / "bus")
    assert visible_gpus() == (), "a login node: CUDA's library, and no card"
    card = tmp_path / "bus" / "0000:00:04.0"
    card.mkdir(parents=True)
    (card / "class").write_text("0x030200\n")
    (card / "vendor").write_text("0x10de\n")
    gpus.devices_left.cache_clear()
    assert "a GPU here that torch cannot use (RuntimeError: CUDA unknown error)" in refusal()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == (), "whoever hides it asks for the CPU"


def test_only_cuda_knows_the_order_of_cards_that_differ(machine, monkeypatch, as_torch):
    slow = Device("GPU-slow", name="T4")
    machine(slow, FIRST)
    as_torch('echo \'[["NVIDIA H100 80GB HBM3", "aa-1111", 80], ["T4", "slow", 16]]\'')
    assert uuids() == [FIRST.uuid, slow.uuid]
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert uuids() == [slow.uuid, FIRST.uuid]


def test_a_machine_without_a_driver_starts_no_process(machine, monkeypatch):
    machine(start=error("LibraryNotFound", "NVML Shared Library Not Found"))
    monkeypatch.setattr(gpus, "CUDA_LIBRARY", {sys.platform: "libno-such-driver.so.1"})
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert visible_gpus() == () and set(slots(None)) == {"cpu"}
    assert "no NVIDIA GPU can be seen here" in refusal(lambda: slots(1, "cuda"))


def test_what_a_card_says_of_itself(machine):
    machine(Device("GPU-a", free=7 * GB, busy=40, at_work=2, millijoules=5500))
    assert memory.free_gpu_bytes("GPU-a") == 7 * GB and nvml.busy_share("GPU-a") == 0.4
    assert nvml.processes("GPU-a") == 2 and nvml.joules("GPU-a") == 5.5
    assert nvml.free_bytes("GPU-other") is None and nvml.driver_version() == "580.159.04"


def test_the_package_has_every_name_that_is_used():
    import pynvml

    used = set(re.findall(r"nvml[A-Z]\w+", Path(nvml.__file__).read_text()))
    assert len(used) > 15 and [name for name in sorted(used) if not hasattr(pynvml, name)] == []
    assert issubclass(pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError)
    assert {"NVMLError_DriverNotLoaded", "NVMLError_NoPermission"} <= set(dir(pynvml))
