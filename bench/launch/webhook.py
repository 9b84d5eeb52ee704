"""One message to an address of the user's when a command ends and when a run fails: Slack, Discord, ntfy or anything
that takes a POST of JSON.

A message is sent once, beside the work, and given up after SECONDS: no answer, a refusal or a server that hangs is one
line on stderr, never a failure and never a longer wait. The address is a secret: nothing prints more than its host.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from bench.errors import UserError
from bench.plan.project import project_file

VARIABLE = "BENCH_NOTIFY"
SECONDS = 5.0  # for one message, from its beginning to the server's answer
MOST_RUNS = 20  # messages about single runs of a command; its last message counts all


def usual_address(option: str | None = None) -> str | None:
    """The address of --notify, else of $BENCH_NOTIFY, else of the project file; None where none of them has one.

    Raises UserError, without the address, for what is no http or https address.
    """
    project = project_file()
    places = {
        "--notify": option,
        f"${VARIABLE}": os.environ.get(VARIABLE),
        f"{project.path}: notify" if project else "": project.notify if project else None,
    }
    for place, address in places.items():
        if address:
            _refuse_odd(place, address)
            return address
    return None


def _refuse_odd(place: str, address: str) -> None:
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        fits = False
    if not fits or not address.isascii() or not address.isprintable() or " " in address:
        raise UserError(f"{place}: is no address of a webhook; write https://HOST/PATH, or http://HOST:PORT/PATH")
    if parts.username is not None:
        raise UserError(f"{place}: a name or password in an address is not sent; give a token in its path or query")


class _NoRedirect(HTTPRedirectHandler):
    """A webhook that sends elsewhere is an error: what is posted goes to the address that the user has named."""

    def redirect_request(self, *_: Any) -> None:
        """None: do not go there."""
        return


class Webhook:
    """Sends messages to one address, each in a thread of its own.

    say: what prints a line about a message that was not delivered.
    """

    def __init__(self, address: str, say: Callable[[str], None] | None = None) -> None:
        self.address, self.host = address, urlsplit(address).hostname
        self.say = say or (lambda text: print(text, file=sys.stderr, flush=True))
        self._opener: OpenerDirector = build_opener(_NoRedirect)
        self._sent: list[tuple[threading.Thread, float]] = []

    def send(self, message: Mapping[str, Any]) -> None:
        """Post a message, and return at once."""
        thread = threading.Thread(target=self._post, args=(json.dumps(message).encode(),), daemon=True)
        self._sent.append((thread, time.monotonic() + SECONDS))
        thread.start()

    def close(self) -> None:
        """Wait for the messages that are under way, none of them longer than SECONDS since it was sent."""
        for thread, deadline in self._sent:
            thread.join(max(0.0, deadline - time.monotonic()))
        if late := sum(thread.is_alive() for thread, _ in self._sent):
            self.say(f"notify: {self.host}: {late} not delivered: no answer within {SECONDS:.0f} s")
        self._sent = []

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "lowdata-gan-bench"}
        try:
            request = Request(self.address, data=body, headers=headers, method="POST")
            with self._opener.open(request, timeout=SECONDS):
                return
        except HTTPError as error:
            self.say(f"notify: {self.host}: not delivered: HTTP {error.code}")
        except TimeoutError:
            self.say(f"notify: {self.host}: not delivered: no answer within {SECONDS:.0f} s")
        except Exception as error:  # whatever a network or a server can do: the work goes on
            reason = getattr(error, "reason", None)
            words = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(error).__name__
            self.say(f"notify: {self.host}: not delivered: {words}")
