"""Parquet files, written by pyarrow as hubs of data sets do, read back a row at a time."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.sources import parquet_file
from bench.data.sources.parquet import ParquetSource, is_parquet
from bench.data.sources.source import BadItemError
from bench.errors import UserError
from bench.machine import workers
from corrupted_bytes import corruptions, truncations
from worker_jobs import processes_of


def values(count, seed=0):
    draw = random.Random(seed)
    return [draw.randbytes(draw.randrange(1, 3000)) for _ in range(count)]


def hub_table(images, labels=None, names=("cat", "dog", "owl"), **more):
    """A table as Hugging Face's `datasets` writes it: a struct of bytes and path, and its features in the schema."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array([None if one is None else {"bytes": one, "path": "a.png"} for one in images], kind)}
    features = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
        features["label"] = {"names": list(names), "_type": "ClassLabel"}
    table = pa.table({**columns, **more})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def told(source):
    with pytest.raises(UserError) as caught:
        list(source.items())
    message = str(caught.value)
    assert "\n" not in message and str(source.path) in message
    return message


def read_all(source):
    return [source.read(item.name) for item in source.items()]


def test_a_hubs_shards_read_back_equal_with_classes_and_splits(tmp_path):
    images, labels = values(90), [index % 3 for index in range(90)]
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    for number, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")):
        part = slice(30 * number, 30 * number + 30)
        pq.write_table(hub_table(images[part], labels[part]), folder / f"{name}.parquet", row_group_size=7)
    (tmp_path / "set" / "README.md").write_text("# A set")
    (tmp_path / "set" / ".gitattributes").write_text("")
    (folder / "._train-00000-of-00002.parquet").write_bytes(b"what macOS leaves")
    source = ParquetSource(tmp_path / "set")
    items = list(source.items())
    assert [item.name for item in items] == sorted(item.name for item in items)
    assert items[0].name == "data/test-00000-of-00001.parquet#00000000"
    assert [item.split for item in items] == ["test"] * 30 + ["train"] * 60
    assert [item.label for item in items[:4]] == ["cat", "dog", "owl", "cat"]
    assert read_all(source) == images[60:] + images[:60]
    assert source.left_out == {"hidden": 2, "other files": 1}


def test_rows_are_read_in_any_order(tmp_path):
    images = values(200)
    pq.write_table(hub_table(images), tmp_path / "a.parquet", row_group_size=60)
    source = ParquetSource(tmp_path / "a.parquet")
    names = [item.name for item in source.items()]
    order = list(range(200))
    random.Random(1).shuffle(order)
    assert [source.read(names[place]) for place in order] == [images[place] for place in order]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"use_dictionary": False, "data_page_version": "2.0"}])
def test_plain_bytes_with_texts_and_attributes(tmp_path, kind, options):
    images = values(50)
    table = pa.table(
        {
            "id": list(range(50)),
            "img": pa.array(images, kind),
            "class": ["red", "blue"] * 25,
            "glasses": [True, False, False, True, False] * 10,
            "beard": [False] * 50,
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", **options)
    source = ParquetSource(tmp_path / "a.parquet")
    items = list(source.items())
    assert read_all(source) == images
    assert [item.label for item in items[:2]] == ["red", "blue"] and items[0].split is None
    assert items[0].attributes == {"glasses": True, "beard": False} and not any(items[2].attributes.values())


def test_whole_numbers_without_names_and_of_no_class(tmp_path):
    images = values(4)
    pq.write_table(pa.table({"image": images, "label": [7, 0, None, -1]}), tmp_path / "a.parquet")
    assert [item.label for item in ParquetSource(tmp_path / "a.parquet").items()] == ["7", "0", None, "-1"]
    pq.write_table(hub_table(images, [2, 0, None, -1]), tmp_path / "a.parquet")
    assert [item.label for item in ParquetSource(tmp_path / "a.parquet").items()] == ["owl", "cat", None, None]
    pq.write_table(hub_table(images, [2, 0, 3, -1]), tmp_path / "a.parquet")
    assert "3 classes have names" in told(ParquetSource(tmp_path / "a.parquet"))


def test_the_hubs_features_choose_among_several_columns(tmp_path):
    images = values(3)
    table = hub_table(images, [0, 1, 2], thumbnail=pa.array(values(3, seed=2), pa.binary()), source=pa.array([1, 2, 3]))
    pq.write_table(table, tmp_path / "a.parquet")
    source = ParquetSource(tmp_path / "a.parquet")
    assert read_all(source) == images and [item.label for item in source.items()] == ["cat", "dog", "owl"]


def test_a_validation_split_is_the_test_split_only_where_there_is_no_other(tmp_path):
    for name in ("train", "validation"):
        pq.write_table(hub_table(values(5)), tmp_path / f"{name}-00000-of-00001.parquet")
    source = ParquetSource(tmp_path)
    assert [item.split for item in source.items()] == ["train"] * 5 + ["test"] * 5
    pq.write_table(hub_table(values(3)), tmp_path / "test-00000-of-00001.parquet")
    assert [item.split for item in source.items()] == ["test"] * 3 + ["train"] * 5
    assert source.left_out == {"of the validation split": 5}


def test_rows_without_a_picture_are_bad_items(tmp_path):
    pq.write_table(hub_table([b"picture", None]), tmp_path / "a.parquet")
    source = ParquetSource(tmp_path / "a.parquet")
    names = [item.name for item in source.items()]
    assert source.read(names[0]) == b"picture"
    with pytest.raises(BadItemError, match="no picture"):
        source.read(names[1])
    assert source.read(names[0], most=7) == b"picture"
    with pytest.raises(BadItemError, match="7 bytes; at most 6"):
        source.read(names[0], most=6)


def test_columns_that_are_not_plain_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), path)
    assert "there is none" in told(ParquetSource(path)) and "text, label" in told(ParquetSource(path))
    pq.write_table(pa.table({"left": [b"a"], "right": [b"b"]}), path)
    assert "several that may (left, right)" in told(ParquetSource(path))
    pq.write_table(hub_table([b"a"]).replace_schema_metadata({"huggingface": "[" * 10_000}), path)
    assert read_all(ParquetSource(path)) == [b"a"]  # features that cannot be read are none


def test_a_folder_of_pictures_with_a_table_is_not_taken_for_parquet(tmp_path):
    pq.write_table(hub_table([b"a"]), tmp_path / "a.parquet")
    assert is_parquet(tmp_path, b"") and is_parquet(tmp_path / "a.parquet", b"PAR1")
    (tmp_path / "picture.PNG").write_bytes(b"")
    assert not is_parquet(tmp_path, b"")
    (tmp_path / "picture.PNG").unlink()
    (tmp_path / "a.parquet").rename(tmp_path / "metadata.parquet")
    assert not is_parquet(tmp_path, b"")


def test_without_pyarrow_one_line_says_what_to_install(tmp_path, monkeypatch):
    pq.write_table(hub_table([b"a"]), tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'lowdata-gan-bench[formats]'" in told(ParquetSource(tmp_path / "a.parquet"))


def test_only_what_is_read_is_imported():
    """Opening other containers must not need pyarrow."""
    code = "import sys; import bench.data.sources.parquet; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_damage_is_an_error_or_other_values_never_a_crash(tmp_path, compression):
    path = tmp_path / "a.parquet"
    attributes = pa.array([index % 2 == 0 for index in range(40)])
    images = [value[:7] * 200 for value in values(40)]  # these can be packed, so that damage spreads
    pq.write_table(
        hub_table(images, [index % 3 for index in range(40)], glasses=attributes),
        path,
        row_group_size=15,
        compression=compression,
    )
    data, refused, bad = path.read_bytes(), 0, 0
    for damaged in (*truncations(data, 50), *corruptions(data, 250, head=len(data) // 8)):
        path.write_bytes(damaged)
        source = ParquetSource(path)
        try:
            names = [item.name for item in source.items()]
        except UserError:
            refused += 1
            continue
        for name in names:
            try:
                source.read(name, most=2**20)
            except BadItemError:
                bad += 1
    assert refused > 100 and (bad > 20 or compression == "none")


def test_a_bomb_is_read_in_bounded_memory(tmp_path):
    """Twenty thousand times the same 8 megabytes, in a file of 200 kilobytes."""
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), [bytes(2**23)])
    ids = list(map(random.Random(1).getrandbits, [62] * 20_000))
    pq.write_table(pa.table({"id": ids, "image": same}), tmp_path / "a.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "a.parquet").stat().st_size < 500_000
    source = ParquetSource(tmp_path / "a.parquet")
    names = [item.name for item in source.items()]
    for name in (names[0], names[40]):
        with pytest.raises(BadItemError, match="8,388,608 bytes"):
            source.read(name, most=2**20)
    assert pa.default_memory_pool().max_memory() < 250_000_000


def test_a_class_with_an_endless_name_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": values(3), "label": ["a" * 1000] * 3}), path)
    assert [item.label for item in ParquetSource(path).items()] == ["a" * 1000] * 3
    pq.write_table(pa.table({"image": values(3), "label": ["a", "a" * 1001, "a"]}), path)
    assert "column 'label' has a class of 1,001 letters; at most 1,000 are read" in told(ParquetSource(path))


def test_a_page_too_large_to_unpack_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_file, "MOST_PAGE", 2**20)
    pq.write_table(pa.table({"image": [bytes(2**21)]}), tmp_path / "a.parquet", compression="zstd")
    assert "a page of 2,097,156 bytes" in told(ParquetSource(tmp_path / "a.parquet"))


def test_other_processes_read_from_it(tmp_path):
    images = values(60)
    pq.write_table(hub_table(images), tmp_path / "a.parquet", row_group_size=25)
    source = ParquetSource(tmp_path / "a.parquet")
    names = [item.name for item in source.items()]
    source.read(names[30])  # its reader is open now
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(source.read, names, chunksize=7) == images


def test_a_row_group_is_decoded_by_one_process(tmp_path, monkeypatch):
    """The chunks that two processes get are of row groups of their own, in order; nothing is decoded twice."""
    table = pa.table({"image": [bytes([number % 256]) * 50 for number in range(2000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    source = ParquetSource(tmp_path / "a.parquet")
    names = [item.name for item in source.items()]
    monkeypatch.setattr(workers, "PATIENCE", -1)
    made_by = {}
    unit = source.units()
    with workers.Workers(2) as group:
        for start, processes in group.chunks(processes_of, names, "rows", unit):
            made_by.setdefault(unit(names[start]), set()).update(processes)
            assert unit(names[start]) == unit(names[start + len(processes) - 1])
    assert len(made_by) == 29 and all(len(processes) == 1 for processes in made_by.values())
    assert len(set.union(*made_by.values())) == 2
