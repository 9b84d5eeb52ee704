"""A store and runs for the measures of finished runs; one whose sampler can be told to copy, blur or make noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.contract.composition import build_method
from bench.contract.expression import at_inference
from bench.evaluate.card import Value
from bench.evaluate.registry import parse_measure, refuse_impossible, run_measure, settings_of
from bench.evaluate.subject import Subject
from bench.run.execute import execute
from bench.run.reopen import Reopened, reopen
from bench.run.settings import Settings
from bench.spec.run import DataSpec, RunSpec, evaluation_run
from bench.store.runs import RunFolder, Store

ODD = '''
"""A generator whose images are made of the data's: what it makes of them is a setting of inference."""
import torch
from torch.nn.functional import avg_pool2d, interpolate
from bench.data import imageset
from bench.networks.common.pixels import signed_images as signed
from bench.train import Method


class Odd(Method):
    """sampling: fresh (test images, of the second half), few (three of them), copies (of training images), noise,
    constant, blur; "" for what G makes."""

    of_sampler = ("sampling",)

    def __init__(self, *, sampling: str = ""):
        self.sampling = sampling

    def networks(self, ctx):
        return {"condition_dim": 2}

    def condition(self, ctx, batch):
        return torch.stack([batch.index_N / 100, 1 - batch.index_N / 100], 1).to(ctx.device)

    def sampler(self, ctx):
        train = signed(ctx.images_u8_NHWC)
        test = signed(imageset.load(ctx.spec.data.name, ctx.spec.data.resolution).test)

        def sample(generator, z_NZ, stream):
            draw = torch.randint(1 << 30, (len(z_NZ),), generator=stream)
            fresh = test[len(test) // 2 :]
            noise = train.new_empty(len(z_NZ), *train.shape[1:]).normal_(generator=stream)
            made = {
                "fresh": lambda: fresh[draw % len(fresh)],
                "copies": lambda: train[draw % len(train)],
                "noise": lambda: noise,
                "constant": lambda: torch.zeros_like(noise),
                "blur": lambda: interpolate(avg_pool2d(fresh[draw % len(fresh)], 8), scale_factor=8.0),
                "few": lambda: fresh[draw % 3],
            }
            return made[self.sampling]() if self.sampling else generator(z_NZ, torch.ones(len(z_NZ), 2))

        return sample

    def class_sampler(self, ctx):
        """Images of the class, drawn each time; of class 0 a single one under the sampling "collapsed"."""
        train, labels = signed(ctx.images_u8_NHWC), torch.from_numpy(ctx.labels_N.astype("int64"))

        def sample(generator, z_NZ, label_N, stream):
            images = []
            for label in label_N.tolist():
                own = train[labels == label]
                place = torch.randint(len(own), (), generator=stream)
                images.append(own[0 if self.sampling == "collapsed" and label == 0 else place])
            return torch.stack(images)

        return sample


'''
SHAPES = DataSpec(name="shapes", resolution=32, shots=60, draw="fixed")


@pytest.fixture
def store(store_root: Path) -> Store:
    """This test's store."""
    torch.set_num_threads(1)
    return Store(store_root)


@pytest.fixture
def run_once(store: Store) -> Callable[[RunSpec], RunFolder]:
    """Bring a run to its end in this test's store; gives its folder."""

    def run_once(spec: RunSpec) -> RunFolder:
        folder = store.open(spec)
        outcome = execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None)
        assert outcome == "done", folder.error()
        return folder

    return run_once


@pytest.fixture
def work(run_once: Callable[[RunSpec], RunFolder]) -> Callable[[RunSpec], RunFolder]:
    """Bring a run, and what it needs, to its end in this test's store; gives its folder."""

    def go(spec: RunSpec) -> RunFolder:
        for source in spec.run_sources.values():
            go(source)
        return run_once(spec)

    return go


@pytest.fixture
def odd_run(load_plugin: Callable[..., list[str]], tiny_spec: Callable[..., RunSpec]) -> RunSpec:
    """A run of one step on 60 drawn shapes, of the method `odd`."""
    load_plugin(ODD, "odd.py")
    return tiny_spec("odd", steps=1, scored=True, data=SHAPES)


@pytest.fixture
def take(work: Callable[[RunSpec], RunFolder], odd_run: RunSpec, store: Store) -> Callable[..., dict[str, Value]]:
    """The measure of the run under a sampling, `take("nearest", "copies", samples=8)`: output -> its value.

    As an evaluation takes it, of a run that is opened once.
    """
    opened = reopen(work(odd_run), store, "final", protocol=odd_run.protocol)

    def open_with(inference: Mapping[str, Any]) -> Reopened:
        return replace(opened, method=build_method(at_inference(odd_run.method, inference)))

    def taken(measure: str, sampling: str = "", **settings: Any) -> dict[str, Value]:
        assert odd_run.protocol is not None
        task = evaluation_run(parse_measure({"measure": measure, **settings}), odd_run, odd_run.protocol)
        refuse_impossible(task)
        assert task.measure is not None
        subject = Subject(task, open_with, inference={"sampling": sampling})
        result = run_measure(measure).compute(subject, settings_of(task.measure))
        return {value.output: value for value in result.values if isinstance(value, Value)}

    return taken


@pytest.fixture
def lines(work: Callable[[RunSpec], RunFolder], odd_run: RunSpec) -> Callable[..., dict[str, dict[str, Any]]]:
    """The same as an evaluation with its record: output -> its line of metrics.jsonl."""

    def recorded(measure: str, sampling: str = "", **settings: Any) -> dict[str, dict[str, Any]]:
        spec = parse_measure({"measure": measure, **({"sampling": sampling} if sampling else {}), **settings})
        assert odd_run.protocol is not None
        folder = work(evaluation_run(spec, odd_run, odd_run.protocol))
        return {line["metric"]: line for line in folder.metrics()}

    return recorded
