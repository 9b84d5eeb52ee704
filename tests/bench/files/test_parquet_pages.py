"""Sizes of pages, held against what pyarrow wrote of the column as a whole."""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.files.inert_pickle import Damaged
from bench.files.parquet_pages import pages


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False, "compression": "none"},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "gzip", "write_statistics": False, "write_page_index": True},
        {"write_page_checksum": True, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "use_dictionary": False},
    ],
)
def test_sizes_of_pages_and_headers_add_up_to_those_of_the_column(tmp_path, options):
    draw = random.Random(1)
    table = pa.table(
        {
            "image": [draw.randbytes(draw.randrange(3000)) for _ in range(400)],
            "text": [draw.choice(("a", "b", None)) for _ in range(400)],
            "number": list(range(400)),
            "flag": [None if draw.random() < 0.2 else draw.random() < 0.5 for _ in range(400)],
            "list": [[{"x": number, "y": 0.5}] * (number % 3) for number in range(400)],
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=150, data_page_size=2**15, **options)
    metadata, count = pq.ParquetFile(path).metadata, 0
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            start = column.dictionary_page_offset or column.data_page_offset
            found = list(pages(path, start, column.total_compressed_size))
            headers = column.total_compressed_size - sum(page.packed for page in found)
            assert sum(page.size for page in found) + headers == column.total_uncompressed_size
            count += len(found)
    assert count >= 3 * metadata.num_columns


def test_bytes_that_are_no_headers_are_damaged_and_never_read_for_ever(tmp_path):
    draw, refused = random.Random(2), 0
    for _ in range(500):
        content = draw.randbytes(draw.choice((3, 40, 400)))
        (tmp_path / "a").write_bytes(content)
        try:
            assert len(list(pages(tmp_path / "a", 0, len(content)))) <= len(content)
        except Damaged:
            refused += 1
    assert refused > 400
    for content in (b"\x19\xff" + b"\xff" * 9, b"\x19" * 5000, b"\x1c" * 5000, b"\x18\xff\xff\xff\xff\x0f"):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(Damaged):
            list(pages(tmp_path / "a", 0, len(content)))
