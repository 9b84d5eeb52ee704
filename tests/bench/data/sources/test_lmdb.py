"""LMDB environments, written by LMDB's own library, read back without it."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import random
import tracemalloc
import zipfile

import lmdb
import pytest

from bench.data.sources.lmdb import LmdbSource, is_lmdb
from bench.data.sources.source import BadItemError
from bench.errors import UserError


def written(folder, records, *, subdir=True, map_size=2**26, **options):
    """An environment of these records, closed, without its lock file."""
    environment = lmdb.open(str(folder), map_size=map_size, subdir=subdir, **options)
    with environment.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key, value)
    environment.close()
    if subdir:
        (folder / "lock.mdb").unlink()
    return folder


def pictures(count, seed=0):
    """Keys as LSUN has them (40 hexadecimal digits), values of 0 to 20,000 bytes: within a page and beyond."""
    draw = random.Random(seed)
    return {
        hashlib.sha1(str(index).encode()).hexdigest().encode(): draw.randbytes(draw.choice((0, 5, 900, 3000, 20_000)))
        for index in range(count)
    }


def engines():
    """Options for each file format that the installed library writes."""
    try:
        return [{"lib_version": version} for version in (0, 1) if lmdb.version(lib_version=version)]
    except TypeError:  # an older package has one engine and no such argument
        return [{}]


@pytest.mark.parametrize("engine", engines())
def test_every_record_reads_back_equal_and_in_order(tmp_path, engine):
    records = pictures(3000)
    source = LmdbSource(written(tmp_path / "room_train_lmdb", records, **engine))
    assert [item.name for item in source.items()] == sorted(key.decode() for key in records)
    assert all(source.read(key.decode()) == value for key, value in records.items())
    assert sorted(path.name for path in source.path.iterdir()) == ["data.mdb"]  # no lock file
    assert not source.left_out


@pytest.mark.parametrize("engine", engines())
def test_a_file_that_was_changed_often_reads_as_it_was_left(tmp_path, engine):
    """Many transactions, deletions and pages used again: only what the last one left is there."""
    records, draw = pictures(600), random.Random(1)
    folder = written(tmp_path / "often", records, **engine)
    environment = lmdb.open(str(folder), map_size=2**26, **engine)
    for _ in range(20):
        with environment.begin(write=True) as transaction:
            for key in draw.sample(sorted(records), 20):
                transaction.delete(key)
                del records[key]
            for key in draw.sample(sorted(records), 10):
                records[key] = draw.randbytes(draw.randrange(9000))
                transaction.put(key, records[key])
    environment.close()
    source = LmdbSource(folder)
    assert {item.name: source.read(item.name) for item in source.items()} == {
        key.decode(): value for key, value in records.items()
    }


def test_keys_that_are_no_plain_names_are_hexadecimal_and_unique(tmp_path):
    records = {
        key: key + b"!"
        for key in (b"b", b"a", b"a/b", b"../up", b"a//b", b"/root", b".", b"\x00\x01", b"\xff", b"~ff", b"a\\b", b"ff")
    }
    source = LmdbSource(written(tmp_path / "odd", records))
    names = [item.name for item in source.items()]
    assert names[:4] == ["a", "a/b", "b", "ff"]
    assert names == sorted(names) and len(set(names)) == len(records)
    assert all(name.startswith("~") for name in names[4:]) and "~ff" in names and "~7e6666" in names
    assert sorted(source.read(name) for name in names) == sorted(records.values())
    with pytest.raises(BadItemError, match="no such record"):
        source.read("~zz")
    with pytest.raises(BadItemError, match="no such record"):
        source.read("missing")


def test_one_file_without_a_folder_and_an_empty_environment(tmp_path):
    written(tmp_path / "one.lmdb", {b"k": b"v"}, subdir=False)
    source = LmdbSource(tmp_path / "one.lmdb")
    assert [item.name for item in source.items()] == ["k"] and source.read("k") == b"v"
    assert list(LmdbSource(written(tmp_path / "none", {})).items()) == []
    with pytest.raises(BadItemError):
        LmdbSource(tmp_path / "none").read("k")


def test_databases_inside_are_counted_and_not_offered(tmp_path):
    folder = tmp_path / "named"
    environment = lmdb.open(str(folder), max_dbs=2)
    inside = environment.open_db(b"labels")
    with environment.begin(write=True) as transaction:
        transaction.put(b"k", b"label", db=inside)
        transaction.put(b"picture", b"pixels")
    environment.close()
    source = LmdbSource(folder)
    assert [item.name for item in source.items()] == ["picture"]
    assert source.left_out == {"databases inside": 1}
    with pytest.raises(BadItemError):
        source.read("labels")


def test_millions_of_records_are_listed_in_bounded_memory(tmp_path):
    """An item at a time: what is held does not grow with the records."""
    records = {f"{number:08d}".encode(): b"" for number in range(30_000)}
    source = LmdbSource(written(tmp_path / "set", records))
    tracemalloc.start()
    assert sum(1 for _ in source.items()) == 30_000
    assert tracemalloc.get_traced_memory()[1] < 300_000
    tracemalloc.stop()


def test_a_value_larger_than_allowed_is_refused_before_it_is_read(tmp_path):
    source = LmdbSource(written(tmp_path / "set", {b"k": bytes(5000)}))
    assert len(source.read("k", most=5000)) == 5000
    with pytest.raises(BadItemError, match=r"5,000 bytes; at most 4,999"):
        source.read("k", most=4999)


def test_a_file_cut_off_anywhere_is_refused_and_never_read_beyond_its_end(tmp_path):
    """The library would map such a file, and the process would end with SIGBUS."""
    whole = written(tmp_path / "whole", pictures(200)) / "data.mdb"
    data = whole.read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()
    used = max(at for at, byte in enumerate(data) if byte)
    for length in {*range(0, 16384, 511), *range(16384, used, used // 40), used - used % 4096}:
        (cut / "data.mdb").write_bytes(data[:length])
        with pytest.raises(UserError, match="cut"):
            list(LmdbSource(cut).items())


def test_random_damage_is_an_error_or_other_values_never_a_crash(tmp_path):
    records = pictures(150, seed=3)
    data = (written(tmp_path / "whole", records) / "data.mdb").read_bytes()
    leaf = [at for at in range(0, len(data), 4096) if data[at + 10] in (1, 2, 8) and data[at + 11] == 0]
    draw, refused, messages = random.Random(4), 0, set()
    folder = tmp_path / "damaged"
    folder.mkdir()
    for trial in range(300):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 4, 40))):
            # Mostly where the structure is: metas, branches and leaves.
            page = draw.choice(leaf) if trial % 3 else draw.randrange(0, len(data), 4096)
            at = page + draw.randrange(min(4096, len(data) - page))
            damaged[at] = draw.randrange(256)
        (folder / "data.mdb").write_bytes(damaged)
        source = LmdbSource(folder)
        try:
            names = [item.name for item in source.items()]
        except UserError as error:
            messages.add(str(error))
            refused += 1
            continue
        assert names == sorted(names)
        for name in names:
            try:
                source.read(name, most=2**20)
            except BadItemError:
                refused += 1
    assert refused > 50
    assert all("\n" not in message and message.startswith(f"{folder}: ") for message in messages)


def test_a_tree_that_refers_to_itself_ends(tmp_path):
    """Each child of the root is the root itself, or the first leaf, again and again."""
    data = bytearray((written(tmp_path / "whole", pictures(400)) / "data.mdb").read_bytes())
    root = next(at for at in range(0, len(data), 4096) if data[at + 10 : at + 12] == b"\x01\x00")
    count = (int.from_bytes(data[root + 12 : root + 14], "little") - 16) // 2
    nodes = [int.from_bytes(data[root + 16 + 2 * place : root + 18 + 2 * place], "little") for place in range(count)]
    first = data[root + nodes[0] : root + nodes[0] + 4]
    for target in (bytes(first), (root // 4096).to_bytes(4, "little")):
        for node in nodes:
            data[root + node : root + node + 4] = target
        (tmp_path / "whole" / "data.mdb").write_bytes(data)
        with pytest.raises(UserError, match=r"out of order|not what refers"):
            list(LmdbSource(tmp_path / "whole").items())


def test_other_files_and_odd_databases_are_refused_in_one_line(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"a Microsoft Access database, perhaps" * 1000)
    with pytest.raises(UserError, match="does not begin as LMDB"):
        list(LmdbSource(tmp_path).items())
    data = bytearray((written(tmp_path / "integers", {b"k": b"v"}) / "data.mdb").read_bytes())
    for meta in (0, 4096):
        data[meta + 16 + 24 + 48 + 4] |= 8  # MDB_INTEGERKEY of the main database, which Python's package does not set
    (tmp_path / "integers" / "data.mdb").write_bytes(data)
    with pytest.raises(UserError, match="integer"):
        list(LmdbSource(tmp_path / "integers").items())
    with pytest.raises(UserError, match=r"No such file"):
        list(LmdbSource(tmp_path / "absent").items())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no LMDB data file"):
        list(LmdbSource(tmp_path / "empty").items())


def test_an_environment_is_known_by_its_content(tmp_path):
    folder = written(tmp_path / "set", {b"k": b"v"})
    head = (folder / "data.mdb").read_bytes()[:1024]
    assert is_lmdb(folder, b"") and is_lmdb(folder / "data.mdb", head) and is_lmdb(tmp_path / "renamed", head)
    (tmp_path / "text").write_text("x" * 100)
    assert not is_lmdb(tmp_path / "text", b"x" * 100) and not is_lmdb(tmp_path, b"")
    (folder / "notes.txt").touch()
    source = LmdbSource(folder)
    assert len(list(source.items())) == 1 and source.left_out == {"other files": 1}
    (folder / "picture.jpg").touch()
    assert not is_lmdb(folder, b"")  # the picture would be lost
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "data.mdb").symlink_to(folder / "data.mdb")
    assert not is_lmdb(tmp_path / "linked", b"")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_publishers_zip_is_read_as_it_came(tmp_path, compression):
    """LSUN's bedroom_train_lmdb.zip: in place where it is stored, else unpacked once to the scratch folder."""
    records = pictures(80)
    folder = written(tmp_path / "room_train_lmdb", records)
    path = tmp_path / "room_train_lmdb.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.mkdir("room_train_lmdb")
        archive.write(folder / "data.mdb", "room_train_lmdb/data.mdb")
        archive.writestr("room_train_lmdb/lock.mdb", bytes(8192), compression)
    assert is_lmdb(path, path.read_bytes()[:1024])
    source = LmdbSource(path)
    source.scratch = tmp_path / "scratch"
    source.scratch.mkdir()
    names = [item.name for item in source.items()]
    assert len(list(source.scratch.iterdir())) == (0 if compression == zipfile.ZIP_STORED else 2)  # with lock.mdb
    again = pickle.loads(pickle.dumps(source))
    assert {name.encode(): again.read(name) for name in names} == records and not source.left_out
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError):
        list(source.items())


def test_other_processes_read_from_it(tmp_path):
    records = pictures(50)
    source = LmdbSource(written(tmp_path / "set", records))
    names = [item.name for item in source.items()]  # its handle is open now
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(source.read, names, chunksize=3) == [records[name.encode()] for name in names]
