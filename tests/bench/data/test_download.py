"""Downloads from a real server on this machine: continued, checked, bounded, and refused in one line."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import time
from collections import namedtuple
from functools import partial

import pytest

from bench.data import download as module
from bench.data import transfer as transfers
from bench.data.catalogue import PublishedFile
from bench.data.download import download
from bench.data.part_file import part_file
from bench.data.transfer_progress import TransferProgress
from bench.errors import UserError
from file_server import CONTENT, Site, answer, serve


@pytest.fixture
def site(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "PAUSE", 0.01)
    site = Site()
    yield site
    site.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "downloads" / "flowers"


def published(site, content=CONTENT, **changes):
    fields = {"name": "flowers.tgz", "holds": "pictures", "url": site.url, "bytes": len(content)}
    return PublishedFile(**fields | {"sha256": hashlib.sha256(content).hexdigest()} | changes)


def fetch(site, folder, **changes):
    told = []
    (path,) = download([published(site, **changes)], folder, told.append)
    assert path == folder / "flowers.tgz" and path.read_bytes() == CONTENT
    assert sorted(one.name for one in folder.iterdir()) == ["flowers.tgz"], "nothing is left beside it"
    return told


def refused(site, folder, **changes):
    with pytest.raises(UserError) as caught:
        download([published(site, **changes)], folder, lambda line: None)
    assert "\n" not in str(caught.value) and not (folder / "flowers.tgz").exists()
    return str(caught.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# Files that arrive.


def test_a_file_is_fetched_once(site, folder):
    assert fetch(site, folder) == []
    assert site.requests[0]["Accept-Encoding"] == "identity" and "Range" not in site.requests[0]
    (told,) = fetch(site, folder)
    assert told.endswith("flowers.tgz: is there, with the right sha256") and len(site.requests) == 1


@pytest.mark.parametrize("odd", [{"chunked": True}, {"length": ""}, {"etag": None}, {"close": True}], ids=str)
def test_answers_of_other_forms(site, folder, odd):
    site.usual = partial(serve, **odd)
    fetch(site, folder)


def test_a_cut_connection_is_continued_where_it_ended(site, folder):
    site.behaviours = [partial(serve, cut=300_000), partial(serve, cut=200_000)]
    told = fetch(site, folder)
    assert [one.get("Range") for one in site.requests] == [None, "bytes=300000-", "bytes=500000-"]
    assert [one.get("If-Range") for one in site.requests] == [None, '"one"', '"one"']
    assert len(told) == 2 and "cut the connection" in told[0] and site.url in told[0]


def test_a_cut_chunked_answer_is_continued(site, folder):
    site.behaviours = [partial(serve, chunked=True, cut=300_000)]
    fetch(site, folder)
    assert len(site.requests) == 2


def test_a_later_command_continues(site, folder, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    site.behaviours = [partial(serve, cut=300_000), partial(serve, cut=1000)]
    assert "301,000 bytes" not in (message := refused(site, folder))
    assert "cut the connection" in message and message.endswith("0.3 MB are kept, the same command continues")
    assert names(folder) == ["flowers.tgz.part", "flowers.tgz.part.json"]
    fetch(site, folder)
    assert site.requests[-1]["Range"] == "bytes=301000-"


def test_a_server_without_ranges_starts_again(site, folder):
    site.behaviours = [partial(serve, cut=300_000)]
    site.usual = partial(serve, ranges=False)
    fetch(site, folder)
    assert site.requests[1]["Range"] == "bytes=300000-"


def test_a_file_that_changed_between_attempts_starts_again(site, folder):
    site.content = bytes(len(CONTENT))

    def changed(handler):
        site.content = CONTENT
        serve(handler, etag='"two"')

    site.behaviours = [partial(serve, cut=300_000), changed]
    fetch(site, folder)
    assert len(site.requests) == 2, "If-Range has the server send all of it"


def test_a_changed_file_without_a_tag_is_caught_by_its_sum(site, folder):
    site.content = bytes(len(CONTENT))
    site.usual = partial(serve, etag=None)

    def changed(handler):
        site.content = CONTENT
        serve(handler, etag=None)

    site.behaviours = [partial(serve, cut=300_000, etag=None), changed]
    told = fetch(site, folder)
    assert [one.get("Range") for one in site.requests] == [None, "bytes=300000-", None]
    assert "from the start again" in told[-1]


@pytest.mark.parametrize("garbage", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)], ids=len)
def test_a_part_of_something_else_is_replaced(site, folder, garbage):
    folder.mkdir(parents=True)
    (folder / "flowers.tgz.part").write_bytes(garbage)
    (folder / "flowers.tgz.part.json").write_text("{not json")
    fetch(site, folder)


def test_another_part_than_asked_for_starts_again(site, folder):
    site.behaviours = [partial(serve, cut=300_000), partial(serve, content_range="bytes 5-9/1048576")]
    fetch(site, folder)
    site.behaviours = [partial(serve, cut=300_000), answer(416)]
    (folder / "flowers.tgz").unlink()
    fetch(site, folder)


def test_a_range_of_no_possible_number_starts_again(site, folder):
    """Python refuses to make a number of so many digits: that must not end the download."""
    site.behaviours = [partial(serve, cut=300_000), partial(serve, content_range=f"bytes {'9' * 5000}-9/1048576")]
    fetch(site, folder)
    assert [one.get("Range") for one in site.requests] == [None, "bytes=300000-", None]


def test_a_busy_server_is_asked_again(site, folder):
    site.behaviours = [answer(503), answer(429), answer(500)]
    assert len(fetch(site, folder)) == 3


def test_redirects_are_followed(site, folder):
    site.behaviours = [answer(302, Location="/b"), answer(307, Location=site.url)]
    fetch(site, folder)
    assert [one["path"] for one in site.requests] == ["/flowers.tgz", "/b", "/flowers.tgz"]


def test_a_wrong_file_in_its_place_is_replaced(site, folder):
    folder.mkdir(parents=True)
    (folder / "flowers.tgz").write_bytes(b"x" * len(CONTENT))
    (told,) = fetch(site, folder)
    assert str(folder / "flowers.tgz") in told and told.endswith("is not the expected file, removed")


def test_a_proxy_of_the_environment_is_used(site, folder, monkeypatch):
    monkeypatch.setenv("http_proxy", site.url.removesuffix("/flowers.tgz"))
    monkeypatch.setenv("no_proxy", "")
    fetch(site, folder, url="http://images.example/flowers.tgz")
    assert site.requests[0]["path"] == "http://images.example/flowers.tgz"


# Files that are refused.


def test_a_wrong_checksum_removes_the_file(site, folder):
    site.content = bytes(len(CONTENT))
    message = refused(site, folder)
    assert hashlib.sha256(site.content).hexdigest() in message and published(site).sha256 in message
    assert site.url in message and "flowers.tgz.part is removed" in message
    assert names(folder) == [] and len(site.requests) == 1


def test_a_wrong_file_that_always_comes_in_pieces_is_given_up(site, folder):
    site.content = bytes(len(CONTENT))
    pieces = [partial(serve, etag=None, cut=300_000), partial(serve, etag=None)]
    site.behaviours = pieces * 5
    assert "is not the expected file: its sha256 is " in refused(site, folder)
    assert names(folder) == [] and len(site.requests) == 4, "one more time from the start"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"length": len(CONTENT) + 1}, "offers 1,048,577 bytes, the expected file has 1,048,576"),
        ({"length": 10}, "offers 10 bytes"),
        ({"extra": b"x"}, "offers 1,048,577 bytes"),
        ({"extra": b"x" * 10_000_000, "length": ""}, "sends more bytes than the expected file has"),
        ({"extra": b"x" * 10_000_000, "chunked": True}, "sends more bytes than the expected file has"),
        ({"status": 204}, "answers 204"),
    ],
    ids=["one byte more", "few bytes", "a longer file", "no length, too much", "chunked, too much", "no content"],
)
def test_answers_that_are_not_of_the_file(site, folder, odd, said):
    site.usual = partial(serve, **odd)
    assert said in refused(site, folder)
    assert len(site.requests) == 1 and sum((folder / name).stat().st_size for name in names(folder)) <= len(CONTENT)


def test_a_range_of_a_file_of_another_size(site, folder):
    site.behaviours = [partial(serve, cut=300_000)]
    site.usual = partial(serve, content_range="bytes 300000-1048576/1048577")
    assert "offers 1,048,577 bytes" in refused(site, folder)


def test_a_server_that_always_cuts_is_given_up(site, folder, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    site.usual = partial(serve, cut=0)
    message = refused(site, folder)
    assert "cut the connection" in message and "kept" not in message and len(site.requests) == 3
    assert names(folder) == []


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_an_error_status_is_final(site, folder, code):
    site.usual = answer(code)
    message = refused(site, folder)
    assert f"{site.url}: answers {code}" in message and message.endswith("fetched otherwise goes with --from")
    assert len(site.requests) == 1 and names(folder) == []


def test_what_a_server_says_moves_no_cursor(site, folder):
    def odd(handler):
        handler.wfile.write(b"HTTP/1.1 404 Gone\x1b[2J" + b"x" * 500 + b"\r\nContent-Length: 0\r\n\r\n")
        handler.close_connection = True

    site.usual = odd
    message = refused(site, folder)
    assert message.isprintable() and "answers 404 Gone?[2Jxxx" in message and "x" * 100 not in message


@pytest.mark.parametrize("there", ["/flowers.tgz", "file:///etc/passwd", "ftp://images.example/x", "gopher:x"])
def test_redirects_in_a_circle_and_out_of_http(site, folder, there):
    site.usual = answer(302, Location=there)
    message = refused(site, folder)
    assert "redirects in a circle" in message or f"redirects from http to {there}, which is not followed" in message
    assert len(site.requests) <= transfers.REDIRECTS + 1


def test_redirects_without_an_end(site, folder):
    site.usual = lambda handler: answer(302, Location=f"/{len(site.requests)}")(handler)
    assert f"more than {transfers.REDIRECTS} times" in refused(site, folder)
    assert len(site.requests) == transfers.REDIRECTS + 1


def test_no_redirect_from_https_to_http():
    redirects, asked = transfers.Redirects(), transfers.request.Request("https://images.example/a")
    with pytest.raises(transfers.TransferError, match="redirects from https to http://images.example/b"):
        redirects.redirect_request(asked, None, 302, "Found", {}, "http://images.example/b")
    followed = redirects.redirect_request(asked, None, 302, "Found", {}, "https://images.example/b")
    assert followed.full_url == "https://images.example/b"


def test_a_silent_server(site, folder, monkeypatch):
    monkeypatch.setattr(transfers, "TIMEOUT", 0.2)
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    site.usual = lambda handler: time.sleep(1)
    assert "sent nothing for 0 s" in refused(site, folder)


def test_a_server_that_drips(site, folder, monkeypatch):
    monkeypatch.setattr(transfers, "WINDOW", 0.2)
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    site.usual = partial(serve, drip=1)
    start = time.monotonic()
    assert " bytes in 0 s; " in refused(site, folder) and time.monotonic() - start < 5


def test_no_such_host_and_no_server(site, folder, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert "cannot be reached: Connection refused" in refused(site, folder, url=f"http://127.0.0.1:{port}/x")
    assert "cannot be reached: " in refused(site, folder, url="http://host.invalid/x")
    assert "is no address of http" in refused(site, folder, url="file:///etc/passwd")
    assert not folder.exists()


def test_no_web_server(site, folder):
    def babble(handler):
        handler.wfile.write(b"220 files.example FTP server ready\r\n")
        handler.close_connection = True

    site.usual = babble
    assert "does not answer as a web server does" in refused(site, folder)


def test_a_small_disk_is_said_before_anything_is_asked(site, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, module.SPARE + len(CONTENT) - 1))
    assert "1.0 MB are to be fetched and 67.1 MB to stay free, 68.2 MB are free" in refused(site, folder)
    assert site.requests == []
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flowers.tgz.part").write_bytes(CONTENT[:1])
    fetch(site, folder)


def test_a_disk_that_fills_up_is_one_line(site, folder, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bench.data.part_file.PartFile.append", full)
    assert "cannot be written: No space left on device" in refused(site, folder)


def test_one_process_at_a_time(site, folder):
    folder.mkdir(parents=True)
    with part_file(folder / "flowers.tgz"):
        assert "another process is fetching it" in refused(site, folder)
    fetch(site, folder)


def test_a_link_in_place_of_the_part_is_not_followed(site, folder, tmp_path):
    folder.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / "flowers.tgz.part").symlink_to(victim)
    assert "cannot be written" in refused(site, folder)
    assert victim.read_text() == "mine"


def test_the_progress_line():
    assert TransferProgress("a.tgz", 200_000_000, 50_000_000).line(1) == "a.tgz: 50.0 of 200.0 MB, 0.0 MB/s"
    progress = TransferProgress("a.tgz", 200_000_000, 50_000_000)
    progress.add(50_000_000)
    assert progress.line(10) == "a.tgz: 100.0 of 200.0 MB, 5.0 MB/s, 20 s left"
    assert progress.line(1000).endswith("0.1 MB/s, 33 min left")
