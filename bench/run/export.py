"""Export of a trained generator: one file, without its run or its data, that makes images wherever there is torch.

Written for torch.load(file, weights_only=True) it is a dict. A safetensors file has the tensors, and beside them as
texts the graph and, in JSON, the rest, with the names of the state's tensors:

    format, version   "lowdata-gan-bench generator", 1
    network, options  what bench.networks.build takes: the name, and every option that is not its default
    state             the state dict of the generator's average, the weights that were scored
    graph, tensors    the network as torch's own operations (bench.networks.graph), and all tensors, with state, latents
                      and conditions; bench/run/generator_loader.py, put beside the file, makes images of these two
    z_dim, resolution the latent's size; images are (N, 3, resolution, resolution) in [-1, 1]
    condition         in words, what the generator takes beside its latent
    latents           (M, z_dim): the latents of the run's first scored images, as its method gave them to the network
    conditions        (M, K) or None: their conditions. latents[:64] and conditions[:64] give the first 64 images; with
                      other latents, random rows of `conditions` are conditions as the method draws them
    normal            whether the method passes latents from N(0, I) on as they are, so that fresh ones may be used
    batch_statistics  None, or how many images at once the batch norms normalise by (bench.train.sampling)
    provenance        the run's id, its whole spec as JSON, snapshot, step, commits, and digests of what it read

With this package (lines in docs/evaluate.md): networks.build(file["network"], **file["options"]) makes the generator
and a discriminator; then load_state_dict(file["state"]), eval(), and a call inside
bench.networks.common.noise.drawn_from(stream): networks that draw noise need one.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench import networks, seeds
from bench.errors import UserError
from bench.files import atomic
from bench.files.safetensors import read_safetensors, write_safetensors
from bench.files.weights import fingerprint, read_source, write_weights
from bench.networks.common import noise
from bench.networks.common.pixels import to_uint8
from bench.networks.graph import NoGraphError, graph_of
from bench.networks.interface import Generator
from bench.run import generator_loader
from bench.run.build import network_options
from bench.run.reopen import Reopened
from bench.spec.run import readable
from bench.train.sampling import batch_statistics

FORMAT = "lowdata-gan-bench generator"
VERSION = 1
MOST_CONDITIONS = 1_000  # latents and conditions in a file
LOADER = "load_generator.py"  # beside it
Form = Literal["torch", "safetensors"]
SUFFIXES: dict[Form, str] = {"torch": ".pt", "safetensors": ".safetensors"}


class Fed(NamedTuple):
    """What a sampler gives its generator, and what comes of it."""

    latents_MZ: Tensor
    conditions_MK: Tensor | None
    normal: bool  # whether the latents are the engine's own
    images_NHWC: np.ndarray  # of the first batch
    batch: int  # how many latents that was


def exported(run: Reopened) -> dict[str, Any]:
    """The content of an export, after a check that the network built from it makes the run's own images.

    Raises UserError for a run whose method adds modules to the generator, or calls it otherwise than with latents and
    conditions (GLANN's embeddings, a fitted mixture): its file alone could not make its images.
    """
    assert run.spec.network is not None
    # What the method feeds the generator with, and how the network is built
    fed = _fed(run)
    options = network_options(run.ctx, run.method)
    condition = "nothing"
    if fed.conditions_MK is not None:
        size, method = fed.conditions_MK.shape[1], readable(run.spec.method)
        condition = f"vectors of {size} numbers, as the method {method} draws them at inference"
    # All that is needed to make the images again, which is tried before it is given away
    export = {
        "format": FORMAT,
        "version": VERSION,
        "network": run.spec.network.name,
        "options": options,
        "state": {name: value.cpu().contiguous() for name, value in run.generator.state_dict().items()},
        "z_dim": int(fed.latents_MZ.shape[1]),
        "resolution": run.spec.data.resolution,
        "condition": condition,
        "latents": fed.latents_MZ,
        "conditions": fed.conditions_MK,
        "normal": fed.normal,
        "batch_statistics": run.spec.train.batch_statistics if run.spec.train else None,
        "provenance": _provenance(run),
    }
    generator = _rebuilt(run, export)
    export |= _graph(run, export, generator, fed)
    _check(run, export, generator, fed)
    return export


def write_export(export: dict[str, Any], path: Path, form: Form) -> None:
    """Write an export, and beside it the loader that needs torch alone."""
    if form == "torch":
        write_weights(path, export)
    else:
        about = {
            name: value for name, value in export.items() if name not in ("latents", "conditions", "tensors", "graph")
        }
        texts = {
            "format": FORMAT,
            "about": json.dumps({**about, "state": list(export["state"])}),
            "graph": export["graph"],
        }
        write_safetensors(path, export["tensors"], texts)
    atomic.write_text(path.parent / LOADER, loader_text())


def read_export(path: Path) -> dict[str, Any]:
    """An export of either form, as it was written; of any other file of weights, what is in it.

    Raises UserError for a file that is neither, or damaged.
    """
    if path.suffix != SUFFIXES["safetensors"]:
        return read_source(path)
    tensors, metadata = read_safetensors(path)
    try:
        about: dict[str, Any] = json.loads(metadata["about"])
        state = {name: tensors[name] for name in about["state"]}
        drawn = {name: tensors.get(name) for name in ("latents", "conditions")}
        return {**about, **drawn, "state": state, "tensors": tensors, "graph": metadata["graph"]}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is no export of a generator: {error} is missing or damaged") from error


def loader_text() -> str:
    """The source of the loader."""
    return Path(generator_loader.__file__).read_text()


def _fed(run: Reopened) -> Fed:
    """What the method's sampler gives the generator for the run's first images."""
    protocol = run.spec.protocol
    count = min(protocol.generated, MOST_CONDITIONS) if protocol else MOST_CONDITIONS
    calls: list[tuple[Any, ...]] = []
    hook = run.generator.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    try:
        pictures = list(run.images(count))
    finally:
        hook.remove()
    if len(calls) != len(pictures) or not all(len(call) in (1, 2) for call in calls):
        raise UserError(
            f"run {run.folder.uid} cannot be exported: its method ({readable(run.spec.method)}) does not make images "
            "from latents and conditions alone; `bench sample` draws from it"
        )
    inputs = [call[1] if len(call) == 2 else None for call in calls]
    conditions = [condition for condition in inputs if condition is not None]
    return Fed(
        torch.cat([call[0] for call in calls])[:count].cpu(),
        torch.cat(conditions)[:count].cpu() if conditions else None,
        _is_normal(run, calls[0][0].cpu()),
        pictures[0],
        len(calls[0][0]),
    )


def _is_normal(run: Reopened, latents_NZ: Tensor) -> bool:
    """Whether the latents of the first batch are the engine's own, unchanged by the method."""
    stream = seeds.torch_stream(run.spec.seed, "evaluation", "latents", 0)
    return torch.equal(latents_NZ, torch.randn(*latents_NZ.shape, generator=stream))


def _rebuilt(run: Reopened, export: dict[str, Any]) -> Generator:
    """The network as a reader of the file builds it, on the CPU. UserError where it does not hold the weights."""
    generator, _ = networks.build(export["network"], seed=0, **export["options"])
    try:
        generator.load_state_dict(export["state"])
    except RuntimeError as error:
        raise UserError(
            f"run {run.folder.uid} cannot be exported: its method ({readable(run.spec.method)}) changes the layers of "
            f"the generator, so that network '{export['network']}' alone does not hold its weights"
        ) from error
    return generator.eval()


def _graph(run: Reopened, export: dict[str, Any], generator: Generator, fed: Fed) -> dict[str, Any]:
    """The network as operations, checked to give what it gives itself. UserError where it cannot be written so."""
    own = export["batch_statistics"] is not None
    conditions, refusal = fed.conditions_MK, f"run {run.folder.uid} cannot be exported: network '{export['network']}'"
    with batch_statistics(generator) if own else nullcontext():
        try:
            graph, constants = graph_of(generator, None if conditions is None else conditions.shape[1])
        except NoGraphError as error:
            raise UserError(f"{refusal}: {error}") from error
        drawn = {"latents": fed.latents_MZ} | ({} if conditions is None else {"conditions": conditions})
        few = [table[:4] for table in drawn.values()]
        with torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(0)):
            right = generator(*few)
    tensors = {**export["state"], **constants, **drawn}
    made = generator_loader.images(tensors, graph, *few, stream=torch.Generator().manual_seed(0))
    if not torch.allclose(made, right, atol=1e-4):
        raise UserError(f"{refusal}: as a graph it makes other images")
    return {"graph": graph, "tensors": tensors}


def _check(run: Reopened, export: dict[str, Any], generator: Generator, fed: Fed) -> None:
    """UserError unless the run's first images can be made from the file alone, to one grey level of 255."""
    generator = generator.to(run.ctx.device).to(memory_format=torch.channels_last)
    tables = (fed.latents_MZ, fed.conditions_MK)
    first = [None if table is None else table[: fed.batch].to(run.ctx.device) for table in tables]
    stream = seeds.torch_stream(run.spec.seed, "evaluation", "noise", 0)
    own = export["batch_statistics"] is not None
    with torch.no_grad(), noise.drawn_from(stream), batch_statistics(generator) if own else nullcontext():
        again_NHWC = to_uint8(generator(*first))[: len(fed.images_NHWC)]
    if np.abs(again_NHWC.astype(int) - fed.images_NHWC).max() > 1:
        raise UserError(
            f"run {run.folder.uid} cannot be exported: network '{export['network']}' with its weights makes "
            f"other images; its method ({readable(run.spec.method)}) changes the generator otherwise"
        )


def _provenance(run: Reopened) -> dict[str, Any]:
    record = run.folder.inputs() or {}
    return {
        "uid": run.folder.uid,
        "spec": json.loads(run.spec.canonical()),
        "snapshot": run.snapshot,
        "step": run.step,
        "commits": list(dict.fromkeys(start["commit"] for start in record.get("starts", []))),
        "inputs": record.get("read", {}),
        "weights_sha256": fingerprint(run.generator.state_dict()),
    }
