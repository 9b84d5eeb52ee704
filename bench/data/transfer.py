"""One HTTP answer as a bounded stream of bytes: what its server declares is checked, what it sends too much is cut off.

Proxies are those of the environment (https_proxy, no_proxy).
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib import error, request
from urllib.parse import urljoin, urlsplit

from bench import __version__

TIMEOUT = 30.0  # seconds without a byte
SLOWEST, WINDOW = 1024, 60.0  # fewer bytes a second than this, over so many seconds, is a stalled transfer
SCHEMES = ("http", "https")
REDIRECTS = 5
CHUNK = 1 << 18
PLACE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")  # a Content-Range: first byte, size of the file


class TransferError(Exception):
    """A transfer that failed; the message says how, without the address."""

    def __init__(self, message: str, *, again: bool = False, restart: bool = False) -> None:
        super().__init__(message)
        self.again = again  # another attempt may succeed
        self.restart = restart  # from the first byte


@dataclass(frozen=True)
class Transfer:
    """An answer whose headers were read."""

    start: int  # the place in the file of its first byte; 0 where the server does not continue
    validator: str | None  # an ETag or a date: the server's name for this state of the file
    chunks: Iterator[bytes]


@contextmanager
def transfer(url: str, total: int, start: int = 0, validator: str | None = None) -> Iterator[Transfer]:
    """Ask for a file of `total` bytes from byte `start` on, if it still is in the state that `validator` names.

    Raises TransferError, also from `chunks`: for no network, an error status, another size than `total`, more bytes,
    fewer bytes, and a server that stalls.
    """
    headers = {"User-Agent": f"lowdata-gan-bench/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator is not None:
            headers["If-Range"] = validator
    with _opened(url, headers) as response:
        begin = _begin(response, start, total)
        yield Transfer(begin, _validator(response), _chunks(response, total - begin))


def _begin(response: Any, start: int, total: int) -> int:
    """The place of the answer's first byte; TransferError for an answer that is not of a file of `total` bytes."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT and start:
        place = PLACE.fullmatch(response.headers.get("Content-Range", ""))
        if place is None or int(place[1]) != start:
            raise TransferError("answers with another part of the file than was asked for", again=True, restart=True)
        size = total if place[2] == "*" else int(place[2])
    elif response.status == http.HTTPStatus.OK:
        start, size = 0, total if response.length is None else response.length
    else:
        raise TransferError(f"answers {response.status} {_shown(response.reason)}")
    if size != total:
        raise TransferError(f"offers {size:,} bytes, the expected file has {total:,}")
    return start


def _validator(response: Any) -> str | None:
    tag: str = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    date: str | None = response.headers.get("Last-Modified")
    return date


def _chunks(response: Any, left: int) -> Iterator[bytes]:
    since, slow = time.monotonic(), 0
    while True:
        with _translated():
            data = response.read1(min(CHUNK, left + 1))
        if not data:
            break
        if len(data) > left:
            raise TransferError("sends more bytes than the expected file has")
        left -= len(data)
        slow += len(data)
        yield data
        if (passed := time.monotonic() - since) > WINDOW:
            if slow < SLOWEST * passed:
                raise TransferError(f"sent {slow:,} bytes in {passed:.0f} s", again=True)
            since, slow = time.monotonic(), 0
    if left:
        raise TransferError(f"cut the connection {left:,} bytes before the end", again=True)


@contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[Any]:
    if urlsplit(url).scheme not in SCHEMES:
        raise TransferError("is no address of http or https")
    with _translated():
        response = _opener().open(request.Request(url, headers=headers), timeout=TIMEOUT)
    with response:
        yield response


@contextmanager
def _translated() -> Iterator[None]:
    """TransferError for whatever urllib, http.client and the socket raise."""
    try:
        yield
    except error.HTTPError as problem:
        problem.close()
        if problem.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise TransferError("has no such part of the file", again=True, restart=True) from problem
        if problem.code in range(300, 400):
            raise TransferError(
                f"redirects in a circle, more than {REDIRECTS} times, or to no address of http"
            ) from problem
        busy = problem.code in (408, 425, 429) or problem.code >= 500
        raise TransferError(f"answers {problem.code} {_shown(problem.reason)}", again=busy) from problem
    except error.URLError as problem:
        reason = problem.reason
        slow = isinstance(reason, (TimeoutError, ConnectionResetError))
        text = getattr(reason, "strerror", None) or str(reason)
        raise TransferError(f"cannot be reached: {text}", again=slow) from problem
    except TimeoutError as problem:
        raise TransferError(f"sent nothing for {TIMEOUT:.0f} s", again=True) from problem
    except (OSError, http.client.IncompleteRead, http.client.RemoteDisconnected) as problem:
        text = getattr(problem, "strerror", None) or "before the end"
        raise TransferError(f"cut the connection: {text}", again=True) from problem
    except (http.client.HTTPException, ValueError) as problem:
        raise TransferError(f"does not answer as a web server does ({type(problem).__name__})") from problem


def _shown(reason: object) -> str:
    """A server's words for its status, fit for a terminal: short, without control characters."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(reason)[:80])


class Redirects(request.HTTPRedirectHandler):
    """Redirects that are followed: not too many, and never from https to http."""

    max_redirections = REDIRECTS
    max_repeats = 2

    def redirect_request(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> request.Request | None:
        """The next request; none to other than http and https, or from https to http, where anyone could answer."""
        there = urljoin(req.full_url, newurl)
        here, next_scheme = urlsplit(req.full_url).scheme, urlsplit(there).scheme
        if next_scheme not in SCHEMES or (here == "https" and next_scheme == "http"):
            raise TransferError(f"redirects from {here} to {there}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> request.OpenerDirector:
    """What opens http and https alone: urllib's usual one would also open files and FTP."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        Redirects(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
