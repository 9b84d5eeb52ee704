"""constraints.txt names a tested version of everything that pyproject.toml asks for, and one that it allows."""

from __future__ import annotations

import tomllib
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BY_PLATFORM = {"torch", "torchvision"}


def asked():
    lines = [
        *PROJECT["dependencies"],
        *(one for more in PROJECT["optional-dependencies"].values() for one in more),
    ]
    return [Requirement(line) for line in lines]


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    names = [canonicalize_name(one.name) for one in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, found, strict=True))


def the_version(constraint):
    (one,) = constraint.specifier
    return one.operator, one.version


def test_what_is_asked_for_has_a_tested_version_that_is_allowed():
    pins = constraints()
    for requirement in asked():
        name = canonicalize_name(requirement.name)
        exact = [one.version for one in requirement.specifier if one.operator == "=="]
        if exact and name not in pins:
            continue  # pyproject.toml itself says which
        operator, newest = the_version(pins[name])
        assert operator == ("<=" if name in BY_PLATFORM else "=="), name
        assert requirement.specifier.contains(newest), f"{pins[name]} is not {requirement}"


def test_what_those_bring_along_has_one_too():
    pins = constraints()
    named = {canonicalize_name(one.name) for one in asked()}
    for name in named - BY_PLATFORM:
        if name in pins and the_version(pins[name])[1] != version(name):
            continue  # another version is installed here, and may bring other things
        for line in requires(name) or []:
            brought = Requirement(line)
            if brought.marker is None or brought.marker.evaluate({"extra": ""}):
                wanted = canonicalize_name(brought.name)
                assert wanted in pins or wanted in named, f"{name} brings {wanted}, which constraints.txt lacks"
