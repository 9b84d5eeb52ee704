"""Bundles: the same runs give the same bytes, weights stay at home, and nothing of a tampered one is believed."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile

import pytest

from bench.errors import UserError
from bench.plan.inputs import FILES, LABELS
from bench.spec.run import reference_run
from bench.store.bundle import write_bundle
from bench.store.bundle_reading import Bundle
from bench.store.foreign_records import INPUT_FILES, INPUT_KINDS
from bench.store.layout import RECORDS, RunPaths, sort_of
from bench.store.lease import is_held
from bench.store.runs import Store
from evaluated import evaluation, finished
from shared_runs import fill, png, resealed, rewritten


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "one")


@pytest.fixture
def made(store, tmp_path):
    fill(store, weights=True)
    return write_bundle(tmp_path / "made.zip", store, store.uids())


def test_the_same_runs_give_the_same_bytes_in_any_folder_at_any_time(made, store, tmp_path):
    other = shutil.copytree(store.root, tmp_path / "elsewhere" / "two")
    for path in other.rglob("*.json"):
        path.touch()
        path.chmod(0o600)
    again = write_bundle(tmp_path / "again.zip", Store(other), reversed(Store(other).uids()))
    assert again.path.read_bytes() == made.path.read_bytes()
    assert again.manifest_sha256 == made.manifest_sha256
    shutil.rmtree(other / store.uids()[0])
    fewer = write_bundle(tmp_path / "fewer.zip", Store(other), Store(other).uids())
    assert fewer.manifest_sha256 != made.manifest_sha256


def test_records_and_pictures_are_in_it_and_weights_are_not(made, store):
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        text = archive.read("README.txt").decode()
        (environment,) = json.loads(archive.read("environment.json"))
    uids = store.uids()
    of_runs = [name for name in names if name.startswith("runs/")]
    assert len(of_runs) == made.members - 3 == len(uids) * (len(RECORDS) + 2)
    assert names[:-1] == sorted(names[:2]) + sorted(of_runs) or names[:-1] == sorted(names[:-1])
    assert {sort_of(name.split("/", 2)[2]) for name in of_runs} == {"record", "picture"}
    assert "bench merge" in text and "Weights are not in it" in text
    assert environment["cpu"] == "a CPU" and environment["starts"] == len(uids) and "time" not in environment
    with Bundle(made.path) as bundle:
        assert sorted(bundle.runs) == uids and bundle.manifest_sha256 == made.manifest_sha256
        for uid, files in bundle.runs.items():
            for name in files:
                assert bundle.read(uid, name) == (store.root / uid / name).read_bytes()


def test_only_finished_runs_that_nobody_has_go_in(store, tmp_path):
    uids = fill(store)
    (store.root / uids[0] / "result.json").unlink()
    with store.folder(uids[1]).lease():
        assert is_held(store.folder(uids[1]))
        made = write_bundle(tmp_path / "made.zip", store, uids)
    assert not is_held(store.folder(uids[1]))
    assert made.runs == len(uids) - 2
    assert made.left_out == {uids[0]: "not finished (interrupted)", uids[1]: "a worker has it"}
    with pytest.raises(UserError, match=f"no finished run to bundle in {store.root} .{uids[0]}: not finished"):
        write_bundle(tmp_path / "none.zip", store, [uids[0]])
    assert not (tmp_path / "none.zip").exists()


def test_every_file_of_a_real_run_is_of_a_known_sort_and_its_records_are_accepted(tiny_spec, tmp_path, store):
    trained = tiny_spec("baseline", scored=True)
    point = reference_run("floor", trained.data, trained.protocol, 0)
    for spec in (trained, point, evaluation(trained, measure="nearest", snapshot="best")):
        folder = finished(store, spec)
        files = [str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()]
        assert {name for name in files if sort_of(name) is None} == set()
        assert sorted(files) == folder.members("record", "picture", "weights", "work") and "lock" in files
        assert {*RECORDS} - {*files} == ({"train.jsonl"} if spec is not trained else set())
    assert {"state/final.pt", "state/best.pt"} == {*store.folder(trained.uid).members("weights")}
    made = write_bundle(tmp_path / "real.zip", store, store.uids())
    assert made.left_out == {} and made.runs == len(store.uids()) == 3
    with Bundle(made.path) as bundle:
        assert sorted(bundle.runs) == store.uids()


def test_a_name_of_the_layout_is_of_one_sort(tmp_path):
    paths = RunPaths(tmp_path / "uid")
    for name in ("../spec.json", "/spec.json", "samples/../spec.json", "samples/step-1.png", "spec.json\n", "x"):
        assert sort_of(name) is None
    logs = (paths.train_log, paths.metrics_log)
    records = (paths.spec_file, paths.provenance_file, paths.inputs_file, *logs, paths.result_file)
    assert {str(path.relative_to(paths.path)) for path in records} == set(RECORDS)


# What a stranger may send: each changes the members of a good bundle, and is refused in one line that says why


def first_run(members):
    return next(name for name in members if name.startswith("runs/")).split("/")[1]


def with_run_file(name, change):
    def changed(members):
        full = f"runs/{first_run(members)}/{name}"
        return resealed({**members, full: change(members[full])})

    return changed


def json_with(**values):
    return lambda data: json.dumps({**json.loads(data), **values}).encode()


def line_with(**values):
    return lambda data: b"".join(
        json.dumps({**json.loads(line), **values}).encode() + b"\n" for line in data.splitlines()
    )


def renamed_run(members):
    uid = first_run(members)
    other = uid[:-1] + ("0" if uid[-1] != "0" else "1")
    return resealed({name.replace(uid, other): data for name, data in members.items()})


TAMPERED = {
    "a byte of a score": (
        lambda members: {name: data.replace(b"100.0", b"100.1") for name, data in members.items()},
        "is not what the manifest says",
    ),
    "a manifest that is another": (
        lambda members: {**members, "MANIFEST.json": members["MANIFEST.json"].replace(b'"size": 1', b'"size": 2')},
        "is not what the manifest says",
    ),
    "no manifest": (lambda members: {n: d for n, d in members.items() if n != "MANIFEST.json"}, "has no MANIFEST.json"),
    "a member that is gone": (lambda members: {n: d for n, d in members.items() if n != "README.txt"}, "lacks 'README"),
    "a member too many": (
        lambda members: {**members, f"runs/{first_run(members)}/pictures.png": png(8, 8)},
        "which is not in its manifest",
    ),
    "a path upwards": (lambda members: resealed({**members, "../evil.json": b"{}"}), "which no bundle has"),
    "a path upwards in a run": (
        lambda members: resealed({**members, f"runs/{first_run(members)}/../../evil.json": b"{}"}),
        "which no bundle has",
    ),
    "a run called ..": (lambda members: resealed({**members, "runs/../spec.json": b"{}"}), "which no bundle has"),
    "an absolute path": (lambda members: resealed({**members, "/etc/cron.d/x": b"{}"}), "which no bundle has"),
    "weights": (
        lambda members: resealed({**members, f"runs/{first_run(members)}/state/final.pt": b"\x80\x04."}),
        "which no bundle has",
    ),
    "a pickle as a record": (with_run_file("result.json", lambda _: b"\x80\x04N."), "result.json is not readable JSON"),
    "another run's name": (renamed_run, "spec.json is that of another run"),
    "a spec that is changed": (with_run_file("spec.json", json_with(seed=7)), "is that of another run"),
    "a spec that is none": (with_run_file("spec.json", lambda _: b"[]"), "spec.json is not a run's spec"),
    "a result of another run": (with_run_file("result.json", json_with(uid="other")), "result.json is of another run"),
    "a result without its end": (
        with_run_file("result.json", json_with(diverged_at="never")),
        "result.json is not what a run records",
    ),
    "a score that is text": (with_run_file("metrics.jsonl", line_with(value="low")), "'value'"),
    "a score that says its row": (with_run_file("metrics.jsonl", line_with(row="scratch+disp")), "'row'"),
    "a score that speaks to the terminal": (with_run_file("metrics.jsonl", line_with(machine="\x1b[2J")), "'machine'"),
    "a torn line": (with_run_file("metrics.jsonl", lambda data: data[:-5]), "ends in the middle of a line"),
    "an input outside": (
        with_run_file("inputs.json", json_with(read={"run/../../etc": "0" * 64})),
        "inputs.json is not what a run records",
    ),
    "an input that is no input": (
        with_run_file("inputs.json", json_with(read={"data/faces-x/train.npy": "0" * 64})),
        "inputs.json is not what a run records",
    ),
    "a step that fits no column": (with_run_file("metrics.jsonl", line_with(step=2**70)), "'step'"),
    "a loss that is text": (with_run_file("train.jsonl", line_with(d_loss="low")), "'d_loss'"),
    "nested without end": (with_run_file("provenance.json", lambda _: b"[" * 200_000), "is not readable JSON"),
    "a number without end": (with_run_file("result.json", lambda _: b"9" * 100_000), "is not readable JSON"),
    "a picture that is none": (with_run_file("samples/step-00000010.png", lambda _: b"GIF89a"), "is not a PNG"),
    "a picture of a billion pixels": (
        with_run_file(
            "samples/step-00000010.png", lambda data: data[:16] + struct.pack(">II", 100_000, 100_000) + data[24:]
        ),
        "100000 x 100000 pixels",
    ),
    "a run without a result": (
        lambda members: resealed({n: d for n, d in members.items() if n != f"runs/{first_run(members)}/result.json"}),
        "has no result.json",
    ),
    "another version": (
        lambda members: {**members, "MANIFEST.json": members["MANIFEST.json"].replace(b'n": 1', b'n": 2')},
        "is of version 2 of bundles",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_bundle_is_refused_in_one_line(what, made, tmp_path):
    change, why = TAMPERED[what]
    path = rewritten(made.path, change, tmp_path / "sent.zip")
    with pytest.raises(UserError) as refused:
        Bundle(path)
    text = str(refused.value)
    assert why in text and text.startswith(f"bundle {path}: ") and "\n" not in text and "\x1b" not in text


def test_a_bundle_that_is_only_packed_anew_is_still_itself(made, tmp_path):
    """The refusals above are of what was changed, not of the writing."""
    with Bundle(rewritten(made.path, lambda members: members, tmp_path / "sent.zip")) as bundle:
        assert bundle.manifest_sha256 == made.manifest_sha256
    with Bundle(rewritten(made.path, resealed, tmp_path / "sealed.zip")) as bundle:
        assert len(bundle.runs) == made.runs


def entries(path, target, *extra, **of_members):
    """The bundle with members written by other options, and entries beside them."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w", **of_members) as sent:
        for name in archive.namelist():
            sent.writestr(name, archive.read(name))
        for entry, data in extra:
            sent.writestr(entry, data)
    return target


def test_packed_members_links_and_doubles_are_refused(made, tmp_path):
    """A packed member may unpack to a thousand times the file: none is unpacked."""
    bomb = entries(made.path, tmp_path / "packed.zip", compression=zipfile.ZIP_DEFLATED)
    link = zipfile.ZipInfo("environment.json")
    link.external_attr = 0o120777 << 16
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = entries(made.path, tmp_path / "twice.zip", ("README.txt", b"again"))
    with zipfile.ZipFile(made.path) as archive, zipfile.ZipFile(tmp_path / "link.zip", "w") as sent:
        for name in archive.namelist():
            sent.writestr(link if name == "environment.json" else name, archive.read(name))
    for path, why in ((bomb, "is packed"), (twice, "README.txt' twice"), (tmp_path / "link.zip", "is a link")):
        with pytest.raises(UserError, match=why):
            Bundle(path)


def test_an_end_that_announces_too_much_is_refused_before_it_is_read(made, tmp_path):
    data = bytearray(made.path.read_bytes())
    data[-10:-6] = struct.pack("<I", 2**31)
    path = tmp_path / "sent.zip"
    path.write_bytes(data)
    with pytest.raises(UserError, match="list of members of 2147483648 bytes"):
        Bundle(path)


def test_a_list_of_more_members_than_a_plain_end_can_count_is_read(tmp_path):
    """With 65,536 members a zip has a larger end: it is no damage."""
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as sent:
        for number in range(2**16):
            sent.writestr(f"runs/x{number}/spec.json", b"")
    with pytest.raises(UserError, match="has no MANIFEST.json"):
        Bundle(tmp_path / "large.zip")
    data = bytearray((tmp_path / "large.zip").read_bytes())
    data[-98 + 40 : -98 + 48] = struct.pack("<Q", 2**40)
    (tmp_path / "large.zip").write_bytes(data)
    with pytest.raises(UserError, match=f"list of members of {2**40} bytes"):
        Bundle(tmp_path / "large.zip")


def test_inputs_are_named_as_they_are_recorded():
    assert set(INPUT_KINDS) == set(LABELS) and set(INPUT_FILES) == set(FILES)


def test_whatever_is_cut_off_or_changed_is_refused(made, tmp_path):
    """Every so many bytes one is changed, or the rest is missing: never a traceback, never another content."""
    whole, path = made.path.read_bytes(), tmp_path / "sent.zip"
    good, _ = read_or_refused(made.path)
    for place in range(0, len(whole), len(whole) // 60):
        for sent in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]):
            path.write_bytes(sent)
            read, said = read_or_refused(path)
            assert read in (None, good) and "\n" not in said  # good: a byte that says nothing, of a time or a mode


def read_or_refused(path):
    """(the files of a bundle, "") or (None, why it is refused)."""
    try:
        with Bundle(path) as bundle:
            return {(uid, name): bundle.read(uid, name) for uid, names in bundle.runs.items() for name in names}, ""
    except UserError as error:
        return None, str(error)


def test_a_file_that_changes_after_it_was_checked_is_noticed(made, tmp_path):
    path = tmp_path / "sent.zip"
    path.write_bytes(made.path.read_bytes())
    with Bundle(path) as bundle:
        place = path.read_bytes().index(b'"step": 10, "value"')
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b'"step": 99, "value"')
        with pytest.raises(UserError, match="is damaged|is not what the manifest says"):
            [bundle.read(uid, "metrics.jsonl") for uid in bundle.runs]
