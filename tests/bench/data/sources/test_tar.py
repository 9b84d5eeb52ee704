"""A tar archive as a source, plain and compressed: hostile members are counted or refused, none becomes a file."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from bench.data.sources import tar
from bench.data.sources.opening import open_source
from bench.data.sources.source import BadItemError
from bench.data.sources.tar import TarSource
from bench.errors import UserError


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def _write(path: Path, *members: tuple[str | tarfile.TarInfo, bytes], mode: str = "w") -> TarSource:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else _member(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return _source(path)


def _source(path: Path) -> TarSource:
    source = TarSource(path)
    source.scratch = path.parent / "scratch"
    source.scratch.mkdir(exist_ok=True)
    return source


def _names(source: TarSource) -> list[str]:
    return [item.name for item in source.items()]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_sorted_read_and_pickled(tmp_path: Path, mode: str, form: int) -> None:
    path, long = tmp_path / "pictures", f"{'d' * 90}/{'n' * 60}.png"
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        archive.addfile(_member("folder", tarfile.DIRTYPE))
        for name, content in (("b.png", b"B" * 5000), ("./a/é.png", b"A"), (long, b"C")):
            info = _member(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    source = _source(path)
    assert _names(source) == ["a/é.png", "b.png", long] and not source.left_out
    assert source.read("b.png") == b"B" * 5000
    again = pickle.loads(pickle.dumps(source))  # as a worker process gets it: nothing is unpacked twice
    assert [again.read(name) for name in ("a/é.png", long)] == [b"A", b"C"]
    unpacked = [] if mode == "w" else ["unpacked.tar"]
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == unpacked


def test_what_is_no_plain_file_or_leads_out_is_counted_by_kind(tmp_path: Path) -> None:
    source = _write(
        tmp_path / "a.tar",
        ("ok.png", b"x"),
        ("../up.png", b"x"), ("a/../../up.png", b"x"), ("/etc/passwd", b"x"),
        (_member("soft.png", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (_member("hard.png", tarfile.LNKTYPE, "ok.png"), b""),
        (_member("pipe.png", tarfile.FIFOTYPE), b""), (_member("device.png", tarfile.CHRTYPE), b""),
        ("._ok.png", b"x"), ("@eaDir/ok.png", b"x"),
    )  # fmt: skip
    assert _names(source) == ["ok.png"]
    assert source.left_out == Counter(
        {"unsafe names": 3, "links": 2, "pipes, sockets and devices": 2, "hidden": 1, "@eaDir": 1}
    )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "scratch"]


def test_of_two_members_of_one_name_the_later_counts(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.tar", ("a.png", b"old"), ("b.png", b"b"), ("./a.png", b"new"))
    assert _names(source) == ["a.png", "b.png"]
    assert source.read("a.png") == b"new" and source.left_out == Counter({"repeated names": 1})


def test_an_archive_that_is_cut_off_is_refused_and_a_large_member_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    source = _write(path, ("a.png", b"a" * 600), ("b.png", b"b" * 3000))
    assert _names(source) == ["a.png", "b.png"] and source.read("a.png") == b"a" * 600
    with pytest.raises(BadItemError, match="600 bytes; at most 500"):
        source.read("a.png", 500)
    path.write_bytes(path.read_bytes()[: 3 * 512 + 512 + 1000])
    with pytest.raises(BadItemError, match=r"is cut off after 1,000 of 3,000 bytes"):
        _unopened(source).read("b.png")
    with pytest.raises(UserError, match=r"a\.tar: is a damaged or unfinished tar archive \(unexpected end of data\)"):
        _source(path).items()
    # A member that declares more than any disk holds.
    info = _member("c.png")
    info.size = 2**60
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"c" * 512)
    with pytest.raises(UserError, match=r"a\.tar: is a damaged or unfinished tar archive"):
        _source(path).items()


def _unopened(source: TarSource) -> TarSource:
    """The source as another process gets it."""
    copy: TarSource = pickle.loads(pickle.dumps(source))
    return copy


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    _write(path, ("a.png", b"a"), ("b.png", b"b"), ("c.png", b"c"))
    content = bytearray(path.read_bytes())
    content[1024 + 150] ^= 1  # the sum in the second header
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tar: is damaged, or several .* begins at byte 1,024"):
        _source(path).items()
    whole = _write(tmp_path / "b.tar", ("a.png", b"a"))
    (tmp_path / "two.tar").write_bytes(2 * whole.path.read_bytes())
    with pytest.raises(UserError, match="several archives in one"):
        _source(tmp_path / "two.tar").items()
    (tmp_path / "open.tar").write_bytes(whole.path.read_bytes()[:1024])  # without blocks of zeros at its end
    assert _names(_source(tmp_path / "open.tar")) == ["a.png"]


def test_a_header_that_asks_for_memory_is_refused(tmp_path: Path) -> None:
    info = _member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 2**33
    with gzip.open(tmp_path / "a.tgz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(5_000_000))
    with pytest.raises(UserError, match=r"damaged or unfinished tar archive \(a header of"):
        _source(tmp_path / "a.tgz").items()


def _header(kind: bytes, size: int, name: str = "a.png") -> bytes:
    """A header as GNU's tar writes it, of any size, also below zero."""
    info = _member(name, kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _extended(header: bytes) -> bytes:
    """A header of a sparse file that has more of its places in a block behind it."""
    changed = bytearray(header)
    changed[482], changed[148:156] = 1, b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


EMPTY = _header(tarfile.REGTYPE, 0)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "content",
    [
        EMPTY + _header(tarfile.REGTYPE, -512) + bytes(1024),
        EMPTY + EMPTY + _header(tarfile.REGTYPE, -1024) + bytes(1024),
        EMPTY
        + _header(tarfile.GNUTYPE_LONGNAME, 1)
        + b"n"
        + bytes(511)
        + _header(tarfile.REGTYPE, -1536)
        + bytes(1024),
        _header(tarfile.GNUTYPE_LONGNAME, 0) * 5000,
        _extended(_header(tarfile.GNUTYPE_SPARSE, 512)),
    ],
    ids=["before itself", "before another", "behind a long name", "long names without end", "a sparse one cut off"],
)
def test_members_that_lead_back_or_in_depth_are_refused(tmp_path: Path, content: bytes) -> None:
    for name, packed in (("a.tar", content), ("a.tgz", gzip.compress(content))):
        (tmp_path / name).write_bytes(packed)
        scratch = _source(tmp_path / name).scratch
        assert scratch is not None
        source = open_source(tmp_path / name, scratch)
        with pytest.raises(UserError, match=rf"{name}: is .*damaged") as refused:
            list(source.items())
        assert "\n" not in str(refused.value)


def test_an_archive_that_is_gone_makes_its_members_bad(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.tar", ("a.png", b"a"))
    assert _names(source) == ["a.png"]
    source.path.unlink()
    with pytest.raises(BadItemError, match="cannot be read .No such file"):
        _unopened(source).read("a.png")


def test_a_bomb_is_refused_while_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "UNPACKED", (10_000_000, 100))
    source = _write(tmp_path / "a.tgz", ("bomb.png", bytes(200_000_000)), mode="w:gz")
    with pytest.raises(UserError, match=r"a\.tgz: unpacks to more than \d+,\d+,\d+ bytes, 100 times its size"):
        source.items()
    assert (tmp_path / "scratch" / "unpacked.tar").stat().st_size < 21_000_000


def test_a_full_disk_is_said_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "SPARE", 2**60)
    source = _write(tmp_path / "a.tgz", ("a.png", b"x"), mode="w:gz")
    with pytest.raises(UserError, match=r"a\.tgz: unpacking it fills the disk of .*scratch; BENCH_CACHE names another"):
        source.items()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_archive_that_is_cut_off_or_is_none_is_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tar.z"
    _write(path, ("a.png", bytes(range(256)) * 400), mode=mode)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.tar\.z: is no tar archive, or a damaged or unfinished one"):
        _source(path).items()
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"a\.tar\.z: is "):
        _source(path).items()
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"words, not an archive " * 100))
    source = _source(tmp_path / "text.gz")
    with pytest.raises(UserError, match=r"text\.gz: is no tar archive, or a damaged or unfinished one"):
        source.items()
    assert (tmp_path / "scratch" / "unpacked.tar").stat().st_size == 0, "a dump of any size is not unpacked"
