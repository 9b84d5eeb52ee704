"""Conformance of a method: does it keep the engine's promises? Seconds on a CPU, on procedural shapes.

The checks drive the real engine (specs, sources, training, checkpoints), so what passes here trains in a
table. They run on a tiny network of each family; a method that cannot work on one refuses with a UserError.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.conformance.cases import NETWORKS, conformance_spec
from bench.conformance.engine import Bench, BrokenPromise
from bench.conformance.promises import OF_A_RUN, builds, pickles, steps
from bench.errors import UserError


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: `detail` says what was wrong and what would be right."""

    check: str
    passed: bool
    detail: str = ""
    # False: not passed, because the method refuses this network (`detail` is its reason)
    supported: bool = True

    @property
    def failed(self) -> bool:
        """The check did not pass, and not because the method refuses the network."""
        return self.supported and not self.passed


def check_everywhere(expression: str, networks: Sequence[str] = tuple(NETWORKS)) -> dict[str, list[CheckResult]]:
    """The findings of `check_method` by network; a method that trains no network is checked once.

    A method may refuse some networks. If it refuses all of them, a failed "supports" is added as its last finding.
    """
    by_network: dict[str, list[CheckResult]] = {}
    for network in networks:
        by_network[network] = check_method(expression, network)
        if conformance_spec(expression, network).network is None:
            break
    if not any(finding.supported for findings in by_network.values() for finding in findings):
        what = "all networks" if set(by_network) == set(NETWORKS) else " and ".join(by_network)
        by_network[network].append(CheckResult("supports", False, f"it refuses {what}: nothing was checked"))
    return by_network


def check_method(expression: str, network: str = "sngan-32", device: str = "cpu") -> list[CheckResult]:
    """Every check on one method expression. Raises UserError for an expression that cannot be read.

    A check is left out where the failure of an earlier one makes it meaningless. A method that refuses the network has
    one finding, which is neither passed nor `supported`.
    """
    spec = conformance_spec(expression, network)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(spec, Path(folder), torch.device(device))
        findings = [_run(builds, bench)]
        if findings[0].passed:
            findings.append(_run(steps, bench))
        if not findings[-1].supported:
            return findings[-1:]
        if findings[-1].passed:
            findings += [_run(check, bench) for check in OF_A_RUN]
        findings.append(_run(pickles, bench))
    return findings


def _run(check: Callable[[Bench], None], bench: Bench) -> CheckResult:
    name = check.__name__.replace("_", " ")
    try:
        check(bench)
    except BrokenPromise as problem:
        return CheckResult(name, False, str(problem))
    except UserError as error:
        return CheckResult(name, False, str(error), supported=False)
    except Exception as error:
        return CheckResult(name, False, f"{type(error).__name__}: {error}")
    return CheckResult(name, True)
