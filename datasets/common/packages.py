"""Files inside installed packages, found without importing the package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bench.errors import UserError


def package_folder(package: str, distribution: str) -> Path:
    """The folder of an installed package; UserError saying what to install where it is missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the package '{distribution}' is not installed; pip install 'lowdata-gan-bench[embedded]'")
    return Path(next(iter(spec.submodule_search_locations)))
