"""Checkpoints: whole or absent, the damaged one is passed over aloud, and nothing in them is executed."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch

from bench.errors import UserError
from bench.store import checkpoints
from bench.store.runs import Store


def state(step):
    return {"step": step, "weights": {"a": torch.full((50, 50), float(step)), "b": torch.arange(3)}}


def saved(folder, *steps):
    for step in steps:
        checkpoints.save(folder, step, state(step))
    return folder / f"step-{steps[-1]:08d}.pt"


def test_the_newest_two_are_kept(tmp_path):
    saved(tmp_path, 1, 2, 9, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000009.pt", "step-00000010.pt"]
    step, found = checkpoints.latest(tmp_path) or (0, {})
    assert step == 10 and checkpoints.fingerprint(found) == checkpoints.fingerprint(state(10))


@pytest.mark.parametrize("length", [0, 1, 100, -1, -100])
def test_truncated_newest_falls_back_and_says_so(length, tmp_path, capsys):
    newest = saved(tmp_path, 4, 7)
    data = newest.read_bytes()
    newest.write_bytes(data[:length])
    step, found = checkpoints.latest(tmp_path) or (0, {})
    assert step == 4 and torch.equal(found["weights"]["a"], state(4)["weights"]["a"])
    said = capsys.readouterr().err
    assert "step-00000007.pt" in said and "falling back to the checkpoint before it" in said
    assert said.count("\n") == 1


def test_bit_rot_is_found_by_the_checksum(tmp_path, capsys):
    newest = saved(tmp_path, 4, 7)
    data = bytearray(newest.read_bytes())
    with zipfile.ZipFile(newest) as archive:  # the largest member is the 50 x 50 tensor
        member = max(archive.infolist(), key=lambda one: one.file_size)
    data[member.header_offset + len(member.filename) + 500] ^= 1  # one bit, in the tensor's bytes
    newest.write_bytes(data)
    with pytest.raises(UserError, match="fails its checksum"):
        checkpoints.read_weights(newest)
    assert (checkpoints.latest(tmp_path) or (0, {}))[0] == 4
    assert "fails its checksum" in capsys.readouterr().err


def test_without_a_whole_checkpoint_it_starts_over_and_says_so(tmp_path, capsys):
    saved(tmp_path, 4, 7)
    for path in tmp_path.iterdir():
        path.write_bytes(b"PK")
    assert checkpoints.latest(tmp_path) is None
    assert "falling back to the start" in capsys.readouterr().err


class Hostile:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("writer", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_hostile_pickle_is_refused_and_not_run(writer, tmp_path):
    path = tmp_path / "weights.pt"
    writer({"ema": Hostile(tmp_path / "owned")}, path)
    with pytest.raises(UserError, match=r"weights\.pt") as caught:
        checkpoints.read_weights(path)
    assert not (tmp_path / "owned").exists()
    assert "\n" not in str(caught.value)


def test_other_content_is_refused(tmp_path):
    path = tmp_path / "list.pt"
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="holds a list"):
        checkpoints.read_weights(path)
    with pytest.raises(UserError, match="does not exist"):
        checkpoints.read_weights(tmp_path / "nothing.pt")


def test_fingerprint_sees_every_bit_and_no_memory_layout():
    first = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    other = first.to(memory_format=torch.channels_last)
    nudged = first.clone()
    nudged.view(-1)[0] = torch.nextafter(nudged.view(-1)[0], torch.tensor(9.0))
    prints = [checkpoints.fingerprint({"w": tensor}) for tensor in (first, other, nudged, first.double())]
    assert prints[0] == prints[1] and len(set(prints)) == 3
    assert checkpoints.fingerprint({"w": first, "n": 1}) != checkpoints.fingerprint({"w": first, "n": 2})


@pytest.mark.slow
def test_run_resumes_from_the_checkpoint_before_a_truncated_one(tiny_spec, run_server, tmp_path, wait_until):
    """Through the engine: the damaged run still ends with the bits of the undisturbed one."""
    spec = tiny_spec(steps=12)
    undisturbed = Store(tmp_path / "undisturbed").open(spec)
    assert run_server.run(spec.uid, tmp_path / "undisturbed") == "done"
    damaged = Store(tmp_path / "damaged").open(spec)
    pid = run_server.start(spec.uid, tmp_path / "damaged")
    wait_until(lambda: len(list(damaged.state.glob("step-*.pt"))) >= 2, every=0.001, otherwise=damaged.error)
    os.kill(pid, 9)
    run_server.wait(pid)
    newest = max(damaged.state.glob("step-*.pt"))
    newest.write_bytes(newest.read_bytes()[:-200])
    assert run_server.run(spec.uid, tmp_path / "damaged") == "done"
    results = damaged.result(), undisturbed.result()
    assert results[0] and results[1] and results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert damaged.read_log() == undisturbed.read_log()
