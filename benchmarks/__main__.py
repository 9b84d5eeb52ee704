"""All benchmarks, one after another (`make benchmark`): prints figures side by side, and asserts nothing."""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    """Run each benchmark in its own interpreter, so that none affects the next."""
    for name in ("cli", "data", "data_memory", "evaluate", "harness", "loading", "metrics", "report", "steps"):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
