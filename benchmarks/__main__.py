"""All benchmarks, one after another: `make benchmark`. Prints side by side; asserts nothing, as machines differ."""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    """Each benchmark runs in an interpreter of its own, so that none warms up or burdens the next."""
    for name in ("cli", "harness", "metrics", "steps"):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
