"""Names inside containers: which are safe, which are what tools leave behind, and how to print a hostile one."""

from __future__ import annotations

import re
import stat

# What programs put beside pictures, by the names of their folders and files; lower case.
LEFTOVERS = {
    "__macosx": "__MACOSX",
    "@eadir": "@eaDir",
    "thumbs.db": "Thumbs.db",
    "ehthumbs.db": "Thumbs.db",
    "desktop.ini": "desktop.ini",
    "lost+found": "lost+found",
}
HIDDEN = "hidden"
UNSAFE = "unsafe names"
LINKS = "links"
DEVICES = "pipes, sockets and devices"
REPEATED = "repeated names"
ENCRYPTED = "encrypted"


def safe_name(raw: str) -> str | None:
    """A member's name as its archive gives it, with forward slashes and without "." parts.

    None for one that is absolute, has "..", or is empty: it would lead out of any folder.
    """
    name = raw.replace("\\", "/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or "\0" in name:
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts else "/".join(parts)


def leftover(name: str) -> str | None:
    """The kind of a file that a tool left behind ("hidden", "@eaDir"); None for any other file."""
    parts = name.split("/")
    if any(part.startswith(".") for part in parts):
        return HIDDEN
    return next((LEFTOVERS[part.lower()] for part in parts if part.lower() in LEFTOVERS), None)


def suffix(name: str) -> str:
    """The suffix of a file's name in lower case, with its dot; empty for a name without one, and for a hidden file."""
    file = name.rpartition("/")[2]
    dot = file.rfind(".")
    return file[dot:].lower() if 0 < dot < len(file) - 1 else ""


def special(mode: int) -> str | None:
    """The kind of what is neither a file nor a folder, by its Unix mode; None for those two and for no mode at all."""
    if stat.S_ISLNK(mode):
        return LINKS
    return DEVICES if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR) else None


def shown(name: str) -> str:
    """A name on one line of a terminal: control characters and undecodable bytes are written as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)
