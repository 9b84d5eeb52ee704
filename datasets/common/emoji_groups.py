"""Coarse subjects of emoji by code point, since the package has drawings but no table of categories.

The ranges follow the sub-headings of Unicode's own charts (blocks 1F300-1FAFF), joined to ten subjects.
"people" are the emoji that can take a skin tone, which the package's own file names tell.
"""

from __future__ import annotations

GROUPS = (
    "faces",
    "people",
    "nature",
    "food",
    "travel",
    "activities",
    "objects",
    "symbols",
    "flags",
    "extras",
)

_RANGES: tuple[tuple[int, int, str], ...] = (  # the first that fits counts
    (0x1F1E6, 0x1F1FF, "flags"),
    (0x1F3F3, 0x1F3F4, "flags"),
    (0x1F38C, 0x1F38C, "flags"),
    (0x1F3C1, 0x1F3C1, "flags"),
    (0x1F6A9, 0x1F6A9, "flags"),
    (0x1F600, 0x1F64F, "faces"),
    (0x1F910, 0x1F92F, "faces"),
    (0x1F970, 0x1F97A, "faces"),
    (0x1FAE0, 0x1FAEF, "faces"),
    (0x2639, 0x263A, "faces"),
    (0x1F32D, 0x1F330, "food"),
    (0x1F336, 0x1F336, "food"),
    (0x1F344, 0x1F37F, "food"),
    (0x1F950, 0x1F96F, "food"),
    (0x1F9C0, 0x1F9CB, "food"),
    (0x1FAD0, 0x1FADF, "food"),
    (0x2615, 0x2615, "food"),
    (0x1F300, 0x1F32C, "nature"),
    (0x1F331, 0x1F343, "nature"),
    (0x1F400, 0x1F43F, "nature"),
    (0x1F980, 0x1F9AE, "nature"),
    (0x1FAB0, 0x1FACF, "nature"),
    (0x2600, 0x2604, "nature"),
    (0x26C4, 0x26C8, "nature"),
    (0x1F380, 0x1F3CF, "activities"),
    (0x1F3F8, 0x1F3FA, "activities"),
    (0x1F930, 0x1F94F, "activities"),
    (0x26BD, 0x26BE, "activities"),
    (0x1F3D0, 0x1F3D3, "activities"),
    (0x1F3D4, 0x1F3F0, "travel"),
    (0x1F680, 0x1F6FF, "travel"),
    (0x26E9, 0x26FD, "travel"),
    (0x1F442, 0x1F487, "people"),
    (0x1F9B0, 0x1F9BF, "people"),
    (0x1F9CD, 0x1F9DF, "people"),
    (0x1FAC0, 0x1FAC5, "people"),
    (0x1F490, 0x1F4FF, "objects"),
    (0x1F550, 0x1F5FF, "objects"),
    (0x1F488, 0x1F48F, "objects"),
    (0x1F97B, 0x1F97F, "objects"),
    (0x1F9E0, 0x1F9FF, "objects"),
    (0x1FA70, 0x1FAAF, "objects"),
    (0x1F3F5, 0x1F3F7, "objects"),
    (0x1F507, 0x1F517, "objects"),
    (0x1F526, 0x1F52E, "objects"),
    (0x231A, 0x231B, "objects"),
    (0x23F0, 0x23F3, "objects"),
    (0x1F54A, 0x1F54A, "nature"),
    (0x1F54B, 0x1F54E, "travel"),
    (0x1FBC5, 0x1FBC9, "people"),
    (0xE000, 0xF8FF, "extras"),
)


def group_of(first_code: int, takes_skin_tone: bool) -> str:
    """The subject of an emoji whose sequence starts with `first_code`; what no range claims is a symbol."""
    if takes_skin_tone:
        return "people"
    return next((group for low, high, group in _RANGES if low <= first_code <= high), "symbols")
