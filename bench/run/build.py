"""From a RunSpec to a Context: its images, its sources, its networks and its method."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import networks, paths, seeds
from bench.contract.composition import Composition, build_method
from bench.contract.context import Context, FinishedRun
from bench.data.draws import training_images
from bench.errors import UserError
from bench.files.row_view import chosen_rows
from bench.machine.ranks import ALONE, Ranks
from bench.networks.common.compiled import compile_blocks
from bench.spec.run import RunSpec, WeightsFile
from bench.store.checkpoints import read_weights
from bench.store.layout import NO_WEIGHTS
from bench.store.runs import Store
from bench.train.device import set_precision
from bench.train.ema import make_ema
from bench.train.graphs import refuse as refuse_graphs
from bench.train.joint import refuse_unshared
from bench.train.sampling import batch_norms


def source_files(spec: RunSpec, store: Store) -> dict[str, Path]:
    """Role -> the file of its weights. UserError for a missing one, which tells what to do about it."""
    files = {}
    for role, source in spec.sources.items():
        if isinstance(source, WeightsFile):
            path = paths.weights_root() / f"{source.weights}.pt"
            if not path.is_file():
                raise UserError(
                    f"source '{role}' needs the weights '{source.weights}': put them at {path}, "
                    "or set BENCH_WEIGHTS to the folder that holds them"
                )
        else:
            path = store.folder(source.uid).final_weights
            if not path.is_file():
                done = store.folder(source.uid).result_file.exists()
                untrained = "has not been trained: run its table without --rows first"
                why = f"has no weights; {NO_WEIGHTS}" if done else untrained
                raise UserError(f"source '{role}' ({source.uid}) {why}")
        files[role] = path
    return files


def build_context(
    spec: RunSpec, store: Store, device: torch.device, ranks: Ranks = ALONE
) -> tuple[Context, Composition]:
    """The context of a run before its first step, and its composed method.

    ranks: the processes that train it together. Raises UserError for networks that cannot be shared out among them.

    Order matters. A part selects among the images first, so that all that follows sees what it left. The method sets
    network options (a condition's size) before the networks are initialised from the seed. Then a part may put its
    own discriminator in place, the method prepares (loads a source, freezes blocks), and the moving average starts
    from the result.
    """
    # Images, sources and the parts of the method.
    set_precision(spec, device)
    drawn = training_images(spec.data, spec.seed)
    ctx = Context(
        spec,
        drawn.images,
        drawn.labels,
        device,
        source_files(spec, store),
        partial(_open_final, store, device),
        attributes_NA=drawn.attributes,
        attribute_names=drawn.attribute_names,
        ranks=ranks,
    )
    method = build_method(spec.method)
    select_images(ctx, method)

    # The networks, from the seed.
    if spec.network is not None:
        options = network_options(ctx, method)
        generator, discriminator = networks.build(
            spec.network.name,
            seed=seeds.derive(spec.seed, "init"),
            d_overrides=method.d_networks(ctx, options),
            **options,
        )
        if generator.resolution != spec.data.resolution:
            raise UserError(
                f"network '{spec.network.name}' makes {generator.resolution} px images, "
                f"data set '{spec.data.name}' is asked for at {spec.data.resolution} px"
            )
        # channels_last makes a CPU step of these networks up to a fifth faster, and suits tensor cores
        plain = spec.train is not None and spec.train.channels_last is False
        layout = torch.contiguous_format if plain else torch.channels_last
        ctx.generator = generator.to(device).to(memory_format=layout)
        trained = method.discriminator(ctx, discriminator)
        ctx.discriminator = trained.to(device).to(memory_format=layout)
        if spec.train is not None and spec.train.compile:
            compile_blocks(*ctx.networks())
        _check_norms(ctx)

    # What the method changes of them, and the average that starts there.
    method.prepare(ctx)
    refuse_unshared(ctx)
    if spec.train is not None and spec.train.graphs:
        refuse_graphs(ctx, method)
    if ctx.generator is not None:
        ctx.ema = make_ema(ctx.generator)
    return ctx, method


def load_weights(ctx: Context, method: Composition, state: dict[str, Any]) -> None:
    """Put the weights of a finished run's snapshot into the networks, the average and the method of its context."""
    for name, network in (
        ("generator", ctx.generator),
        ("discriminator", ctx.discriminator),
        ("ema", ctx.ema),
    ):
        if network is not None:
            average = {"generator": state["ema"]}  # for a best snapshot, which has no raw generator
            network.load_state_dict({**average, **state}[name])
    method.load_state_dict(state["method"])
    ctx.step = int(state["step"])


def _open_final(store: Store, device: torch.device, spec: RunSpec) -> FinishedRun:
    """A finished run of the store at its final weights."""
    ctx, method = build_context(spec, store, device)
    load_weights(ctx, method, read_weights(store.folder(spec.uid).final_weights))
    return FinishedRun(ctx, method.class_sampler(ctx))


def select_images(ctx: Context, method: Composition) -> None:
    """Reduce the context's training images, labels and attributes to those that a part of the method selects."""
    ctx.selected_M = chosen_M = method.select(ctx)
    if chosen_M is not None:
        ctx.images_u8_NHWC = chosen_rows(ctx.images_u8_NHWC, chosen_M)
        ctx.labels_N = None if ctx.labels_N is None else ctx.labels_N[chosen_M]
        ctx.attributes_NA = None if ctx.attributes_NA is None else ctx.attributes_NA[chosen_M]


def network_options(ctx: Context, method: Composition) -> dict[str, Any]:
    """The options that the run's networks are built with: the spec's and those that the method needs."""
    assert ctx.spec.network is not None
    options, needed = ctx.spec.network.options, method.networks(ctx)
    for key in options.keys() & needed.keys():
        if options[key] != needed[key]:
            raise UserError(f"network option {key}={options[key]} contradicts the method, which needs {needed[key]}")
    return {**options, **needed}


def _check_norms(ctx: Context) -> None:
    """UserError for `batch_statistics` with a generator that has no batch norms."""
    generator, _ = ctx.networks()
    assert ctx.spec.train is not None and ctx.spec.network is not None
    images = ctx.spec.train.batch_statistics
    if images is not None and not batch_norms(generator):
        raise UserError(
            f"train: batch_statistics is {images}, but the generator of '{ctx.spec.network.name}' has no batch norms; "
            "leave it out"
        )
