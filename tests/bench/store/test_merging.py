"""Merging: what is missing is copied whole or not at all, what is there is never overwritten, differences are named."""

from __future__ import annotations

import errno
import fcntl
import re
import shutil

import pytest

from bench.errors import UserError
from bench.store.bundle import write_bundle
from bench.store.bundle_reading import Bundle
from bench.store.layout import MERGING, SET_ASIDE
from bench.store.merging import Source, merge
from bench.store.runs import Store
from shared_runs import contents, fill, finish, rewritten, specs


@pytest.fixture
def here(tmp_path):
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    return Store(tmp_path / "there")


def merged(path, store, keep=None):
    source = Source(path)
    try:
        return merge(source, store, keep)
    finally:
        source.close()


def bundled(store, path):
    write_bundle(path, store, store.uids())
    return path


def test_two_machines_give_the_store_that_one_would_have(here, there, tmp_path):
    one = Store(tmp_path / "one")
    whole = fill(one, weights=True)
    fill(here, ["scratch"], weights=True)
    fill(there, ["scratch+disp", "diffaugment"], weights=True)
    done = merged(there.root, here)
    assert sorted(done.copied) == there.uids() and not (done.same or done.conflicts or done.not_taken)
    assert here.uids() == sorted(whole)
    work = ("heartbeat.json", "set-aside.json")
    ours, theirs = contents(here.root), contents(one.root)
    shared = {name: data for name, data in theirs.items() if not name.endswith(work)}
    assert {name: data for name, data in ours.items() if not name.endswith(work)} == shared
    assert not [path for path in (here.root / MERGING).iterdir() if path.is_dir()]


def test_a_bundle_gives_records_and_pictures_and_a_store_the_weights_too(here, there, tmp_path):
    fill(there, weights=True)
    done = merged(bundled(there, tmp_path / "sent.zip"), here)
    assert sorted(done.copied) == there.uids()
    assert not list(here.root.glob("*/state")) and len(list(here.root.glob("*/samples/*.png"))) == 12
    again = merged(there.root, here)
    assert sorted(again.same) == sorted(again.completed) == there.uids() and not again.copied
    for uid in there.uids():
        assert here.folder(uid).final_weights.read_bytes() == there.folder(uid).final_weights.read_bytes()
    assert merged(there.root, here).completed == []


def test_the_same_result_made_at_another_time_on_another_machine_is_the_same(here, there):
    fill(here, seconds=1.0)
    fill(there, seconds=99.0)
    before = contents(here.root)
    done = merged(there.root, here)
    assert sorted(done.same) == here.uids() and not done.conflicts and contents(here.root) == before


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"digest": "f" * 64}, r"another weights_sha256: \w+ here, f{12} there"),
        ({"value": 1.5}, r"other scores: fd at step 10 is 150.0 here, 2.25 there"),
    ],
)
def test_another_result_is_a_conflict_and_neither_is_overwritten(change, why, here, there):
    (row, spec), *_ = specs(["scratch"], [0])
    finish(here, row, spec)
    finish(there, row, spec, **change)
    before, theirs = contents(here.root), contents(there.root)
    done = merged(there.root, here)
    assert not done.copied and list(done.conflicts) == [spec.uid]
    assert re.search(why, done.conflicts[spec.uid])
    assert contents(here.root) == before and contents(there.root) == theirs
    kept = merged(there.root, here, "store")
    assert list(kept.kept) == [spec.uid] and not kept.conflicts and contents(here.root) == before
    # The store's makes way, and is still there
    replaced = merged(there.root, here, "source")
    assert replaced.replaced == [spec.uid]
    assert here.folder(spec.uid).result_file.read_bytes() == there.folder(spec.uid).result_file.read_bytes()
    (aside,) = (here.root / SET_ASIDE).iterdir()
    assert (aside / "result.json").read_bytes() == before[f"{spec.uid}/result.json"]
    assert merged(there.root, here).same == [spec.uid]


def test_nan_is_the_same_as_nan(here, there):
    (row, spec), *_ = specs(["scratch"], [0])
    for store in (here, there):
        finish(store, row, spec)
        log = store.folder(spec.uid).metrics_log
        log.write_text(log.read_text().replace("100.0", "NaN"))
    assert merged(there.root, here).same == [spec.uid]


def test_what_is_not_finished_there_is_not_taken_and_said(here, there, tmp_path):
    uids = fill(there)
    there.folder(uids[0]).result_file.unlink()
    there.folder(uids[0]).beat("running", 3, 20, None)
    (there.root / uids[1] / "spec.json").write_text("{}")
    elsewhere = tmp_path / "elsewhere"
    shutil.move(there.root / uids[2], elsewhere)
    (there.root / uids[2]).symlink_to(elsewhere)
    metrics = there.folder(uids[3]).metrics_log
    metrics.rename(tmp_path / "metrics")
    metrics.symlink_to(tmp_path / "metrics")
    with there.folder(uids[4]).lease():
        done = merged(there.root, here)
    assert done.copied == [uids[5]]
    said = done.not_taken
    assert said[uids[0]] == "not finished (running)" and said[uids[1]].startswith("spec.json is not a run's spec")
    assert "is a link" in said[uids[2]] and "is a link" in said[uids[3]] and said[uids[4]] == "a worker has it"


def test_a_run_that_is_begun_here_is_not_overwritten_and_one_of_which_nothing_is_made_makes_way(here, there):
    fill(there, ["scratch"], [0, 1])
    (_, begun), (_, bare) = specs(["scratch"], [0, 1])
    for spec in (begun, bare):
        here.open(spec).beat("stopped", 5, 20, None)
    (here.folder(begun.uid).state).mkdir()
    (here.folder(begun.uid).state / "step-00000005.pt").write_bytes(b"a checkpoint")
    done = merged(there.root, here)
    assert done.conflicts == {begun.uid: "finished there, not here (interrupted)"}
    assert done.copied == [bare.uid] and len(list((here.root / SET_ASIDE).iterdir())) == 1
    with here.folder(begun.uid).lease():
        assert "is at work" in merged(there.root, here, "source").conflicts[begun.uid]
    assert merged(there.root, here, "source").replaced == [begun.uid]
    assert here.folder(begun.uid).status() == "done"


def test_an_interrupted_merge_leaves_whole_runs_only_and_is_continued(here, there, tmp_path, monkeypatch):
    fill(there)
    path = bundled(there, tmp_path / "sent.zip")
    source, real, left = Source(path), Bundle.read, [28]  # 8 files a run: in the middle of the fourth

    def full_disk(bundle, uid, name):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(bundle, uid, name)

    monkeypatch.setattr(Bundle, "read", full_disk)
    with pytest.raises(OSError, match="No space"):
        merge(source, here)
    source.close()
    copied = here.uids()
    assert len(copied) == 3 and all(here.folder(uid).status() == "done" for uid in copied)
    assert len([one for one in (here.root / MERGING).iterdir() if one.is_dir()]) == 1
    monkeypatch.setattr(Bundle, "read", real)
    done = merged(path, here)
    assert sorted(done.same) == sorted(copied) and len(done.copied) == 3
    assert here.uids() == there.uids() and not [one for one in (here.root / MERGING).iterdir() if one.is_dir()]


def test_one_merge_at_a_time(here, there):
    fill(there)
    lock = here.root / MERGING / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another bench merge is at work"):
            merged(there.root, here)
    assert merged(there.root, here).copied


def test_what_is_no_source_is_refused(here, there, tmp_path):
    fill(here)
    (tmp_path / "text.zip").write_text("hello")
    (tmp_path / "empty").mkdir()
    for path, why in (
        (tmp_path / "gone", "there is no such bundle or store"),
        (tmp_path / "empty", "is no store"),
        (tmp_path / "text.zip", "does not end as a bundle does"),
    ):
        with pytest.raises(UserError, match=why):
            merged(path, there)
    with pytest.raises(UserError, match="is the store itself"):
        merged(here.root, here)
    assert not there.root.exists()


def test_a_tampered_bundle_leaves_the_store_alone(here, there, tmp_path):
    fill(there)
    path = bundled(there, tmp_path / "sent.zip")
    bad = rewritten(
        path, lambda members: {n: d.replace(b"100.0", b"100.1") for n, d in members.items()}, tmp_path / "bad.zip"
    )
    with pytest.raises(UserError, match="is not what the manifest says"):
        merged(bad, here)
    assert not here.root.exists()
