"""Checks that the settings of networks share; each raises UserError naming the setting, its value and what is right."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import UserError, did_you_mean


def check_sizes(multiple: int, **sizes: int) -> None:
    """Each size must be a positive multiple."""
    for key, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value % multiple:
            what = "a positive whole number" if multiple == 1 else f"a positive multiple of {multiple}"
            raise UserError(f"{key}={value!r} must be {what}")


def check_optional_sizes(**sizes: int | None) -> None:
    """Each size must be a positive whole number, or nothing."""
    check_sizes(1, **{key: value for key, value in sizes.items() if value is not None})


def check_switches(**switches: bool) -> None:
    """Each value must be true or false."""
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise UserError(f"{key}={value!r} must be true or false")


def check_choice(value: str, key: str, known: Sequence[str]) -> None:
    """The value must be one of the known ones."""
    if value not in known:
        raise UserError(f"unknown {key} {value!r}; {did_you_mean(str(value), known)}")


def check_numbers(low: float, high: float, **numbers: float) -> None:
    """Each value must be a number from low to high."""
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise UserError(f"{key}={value!r} must be a number from {low:g} to {high:g}")
