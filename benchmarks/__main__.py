"""All benchmarks, one after another: `make benchmark`. Prints side by side; asserts nothing, as machines differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Each benchmark runs in an interpreter of its own, so that none warms up or burdens the next."""
    here = Path(__file__).parent
    for name in ("cli", "harness", "metrics"):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(here / f"{name}.py")], check=True)


if __name__ == "__main__":
    main()
