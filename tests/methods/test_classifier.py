"""The classifier: its losses against scikit-learn's, what it learns, and what others read of it."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources, needing
from bench.data import imageset
from bench.data.draws import training_images
from bench.errors import UserError
from bench.features.classifier import trained_classifier
from bench.run.build import build_context
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import DataSpec, NetworkSpec, WeightsFile
from bench.store import checkpoints
from bench.store.runs import Store

classifier = importlib.import_module("bench.methods.classifier")
STYLES = DataSpec(name="styles-10@200", resolution=32)
FACES = DataSpec(name="faces-attributes@200", resolution=32)


@pytest.fixture
def train(tiny_spec, store_root):
    """Train a spec of `tiny_spec` to its end in this test's store, its sources first; gives the training."""

    def run(*arguments, **options):
        spec, store = tiny_spec(*arguments, **options), Store(store_root)
        for one in (*spec.run_sources.values(), spec):
            training = Training(one, store.open(one), store, Settings(torch.device("cpu"), math.inf))
            assert training.run(lambda: False, lambda *_: None) == "done"
        return training

    return run


def part_of(training):
    return training.method.parts[0][1]


# ---- the loss


def test_loss_of_labels_is_scikit_learns():
    logits = torch.randn(40, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    labels = torch.randint(7, (40,), generator=torch.Generator().manual_seed(1))
    chances = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    wanted = log_loss(labels.numpy(), chances, labels=list(range(7)))
    assert classifier.class_loss(logits, labels).item() == pytest.approx(wanted, rel=1e-12)  # both in float64


def test_loss_of_attributes_is_the_mean_of_scikit_learns_over_them():
    logits = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    truth = torch.rand(40, 3, generator=torch.Generator().manual_seed(1)) < 0.4
    chances = 1 / (1 + np.exp(-logits.numpy()))
    wanted = np.mean([log_loss(truth[:, at].numpy(), chances[:, at]) for at in range(3)])
    assert classifier.class_loss(logits, truth).item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.slow
def test_first_step_goes_down_the_loss_of_the_moved_images(tiny_spec, store_root):
    """The logged loss is that of the first batch, shifted and mirrored, at the initial weights."""
    spec = tiny_spec("classifier(width=4, shift=2)", data=STYLES, batch=8, flip=True)
    ctx, method = build_context(spec, Store(store_root), torch.device("cpu"))
    part, drawn = method.parts[0][1], training_images(STYLES, 0)
    encoder, head = (torch.nn.Sequential(part.encoder, part.head), part.head)
    seen = []
    encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    part.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    ctx.begin_step(0)
    start = head.weight.detach().clone()
    values = next(method.fit(ctx))
    index = classifier.Batches(ctx.images_u8_NHWC, 8, 0).at(0).index_N.numpy()
    moved = {}
    for image, place in zip(seen[0], index, strict=True):  # each is its own picture, moved by at most two pixels
        whole = drawn.images[place].astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        shifts = [(y, x, flip) for y in range(-2, 3) for x in range(-2, 3) for flip in (False, True)]
        matches = [
            shift
            for shift in shifts
            if np.allclose(image[:, 2:-2, 2:-2], _shifted(whole, *shift)[:, 2:-2, 2:-2], atol=1e-5)
        ]
        assert matches, place
        moved[int(place)] = matches[0]
    assert len(set(moved.values())) > 3
    assert not torch.equal(start, head.weight) and values["cross_entropy"] > 0


def _shifted(image, down, right, flip):
    image = image[:, :, ::-1] if flip else image
    return np.roll(image, (down, right), axis=(1, 2))


# ---- what it learns


@pytest.mark.slow
def test_it_learns_the_styles_and_says_so_in_its_log(train):
    """200 images of ten styles, at half the usual width: chance is 10 %, of the test split of 200."""
    training = train("classifier(width=8)", data=STYLES, steps=100, batch=32, log_every=50)
    *before, last = training.folder.read_log()
    assert last["test_accuracy"] > 0.6 and all("test_accuracy" not in line for line in before)
    # What the log says is what its API finds.
    images, weights = imageset.load("styles-10@200", 32), checkpoints.read_weights(training.folder.final_weights)
    trained = trained_classifier(weights, 32)
    chances = trained.probabilities(images.test)
    assert trained.target == "labels" and trained.names == images.class_names and len(trained.names) == 10
    assert chances.shape == (200, 10) and np.allclose(chances.sum(1), 1, atol=1e-12) and (chances > 0).all()
    assert np.mean(chances.argmax(1) == images.test_labels) == pytest.approx(last["test_accuracy"], abs=1e-6)


@pytest.mark.slow
def test_it_learns_attributes(train):
    """Attributes of about half of the faces: chance is 50 %. The fourth, a mouth of few pixels, needs more images."""
    training = train("classifier(target=attributes)", data=FACES, steps=150, batch=32)
    images, last = imageset.load("faces-attributes@200", 32), list(training.folder.read_log())[-1]
    each = [last[f"test_accuracy/{name}"] for name in images.attribute_names]
    assert min(each[:3]) > 0.7 and last["test_accuracy"] == pytest.approx(np.mean(each), rel=1e-6)
    trained = trained_classifier(checkpoints.read_weights(training.folder.final_weights), 32)
    chances = trained.probabilities(images.test)
    assert trained.target == "attributes" and trained.names == images.attribute_names
    found = ((chances > 0.5) == (images.test_attributes > 0)).mean(0)
    assert found == pytest.approx(each, abs=1e-6)
    assert not np.allclose(chances.sum(1), 1)  # one probability each, no distribution


def test_wrong_labels_are_learned_as_they_are_and_tested_against_the_true_ones(tiny_spec, store_root):
    data = DataSpec(name="styles-10@200", resolution=32, corrupt_labels=0.5)
    ctx, method = build_context(
        tiny_spec("classifier(width=4)", data=data, batch=100, steps=4), Store(store_root), torch.device("cpu")
    )
    part, images, drawn = method.parts[0][1], imageset.load("styles-10@200", 32), training_images(data, 0)
    ctx.begin_step(0)
    index = classifier.Batches(ctx.images_u8_NHWC, 100, 0).at(0).index_N.numpy()
    logits = []
    part.head.register_forward_hook(lambda _module, _given, output: logits.append(output.detach()))
    accuracy = float(next(method.fit(ctx))["accuracy"])
    guesses = logits[0].argmax(1).numpy()
    assert accuracy == pytest.approx(np.mean(guesses == drawn.labels[index]), abs=1e-6)
    assert np.sum(drawn.labels != images.train_labels) == 100
    logits.clear()
    tested = part.tested(ctx)["test_accuracy"]
    assert tested == pytest.approx(np.mean(torch.cat(logits).argmax(1).numpy() == images.test_labels), abs=1e-6)


# ---- what others read of it


@pytest.mark.slow
def test_disp_takes_its_features_as_priors(train):
    training = train("disp(prior=classifier)", steps=2)
    source = Store(training.folder.path.parent).folder(training.spec.run_sources["classifier"].uid)
    part = training.method.parts[0][1]
    features = trained_classifier(checkpoints.read_weights(source.final_weights), 32).features
    found = features(np.asarray(training.ctx.images_u8_NHWC))
    centred = found - found.mean(0)
    wanted = centred / np.sqrt(np.mean(np.square(centred)))
    np.testing.assert_allclose(part.vectors(training.ctx).numpy(), wanted, rtol=1e-4, atol=1e-5)  # float32
    assert found.shape == (16, 16) and found.std(0).max() > 0


def test_declarations_follow_the_settings():
    plain, attributes, samples = (
        parse_method(f"classifier{settings}") for settings in ("", "(target=attributes)", "(on=samples)")
    )
    assert [needing("labels", one) for one in (plain, attributes, samples)] == ["classifier", None, "classifier"]
    assert [needing("attributes", one) for one in (plain, attributes, samples)] == [None, "classifier", None]
    assert [needed_sources(one) for one in (plain, attributes, samples)] == [(), (), ("run",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classifier(target=label)", "unknown target 'label'; did you mean 'labels'"),
        ("classifier(on=sample)", "unknown on 'sample'; did you mean 'samples'"),
        ("classifier(on=samples, target=attributes)", "samples have the class that they were made of"),
        ("classifier(network=resnet-56)", "unknown network 'resnet-56'; did you mean 'resnet56'"),
        ("classifier(network=resnet50, width=8)", "resnet50 has widths of its own"),
        ("classifier(lr=0)", "lr and width must be positive"),
        ("classifier(width=0)", "lr and width must be positive"),
        ("classifier(shift=-1)", "shift 0 or more"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


def test_it_is_no_row_with_a_network(tiny_spec, store_root):
    options = {"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}
    spec = tiny_spec("classifier(width=4)").model_copy(
        update={"network": NetworkSpec(name="sngan-32", options=options)}
    )
    with pytest.raises(UserError, match="trains no generator: it is a source of other runs, without a network"):
        build_context(spec, Store(store_root), torch.device("cpu"))


# ---- on samples of a run


def test_samples_are_the_runs_own_images_of_the_training_images_classes(train, tiny_spec, store_root):
    training = train("classifier(on=samples, width=4)", steps=2, batch=6)
    samples = importlib.import_module("bench.methods.common.class_samples").ClassSamples
    ctx, source = training.ctx, training.spec.run_sources["run"]
    made = samples(ctx, "classifier", "run")
    opened = ctx.source_run("run")
    run = opened.ctx
    weights = checkpoints.read_weights(Store(store_root).folder(source.uid).final_weights)["ema"]
    assert all(torch.equal(value, weights[name]) for name, value in run.ema.state_dict().items())

    # The same picture for an image in any batch, of its own class.
    alone, together = made.at(ctx, torch.tensor([3])), made.at(ctx, torch.tensor([5, 3, 9]))
    # The digits after the eighth bit depend on the batch, so that one grey level may differ.
    assert (alone[0] - together[1]).abs().max() <= 1 / 127.5 + 1e-6
    assert not torch.equal(together[0], together[2])
    seen = []
    run.ema.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    opened.class_sampler(run.ema, torch.zeros(3, run.ema.z_dim), torch.tensor([2, 0, 1]), torch.Generator())
    assert seen[0].argmax(1).tolist() == [2, 0, 1] and seen[0].sum().item() == 3
    made.generator.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    made.at(ctx, torch.tensor([5, 3, 9]))
    assert seen[-1].argmax(1).tolist() == ctx.labels_N[[5, 3, 9]].tolist()


def test_samples_that_cannot_be_had_are_refused(train, tiny_spec, store_root):
    spec = train("classifier(on=samples, width=4)", steps=2).spec
    run, store = spec.sources["run"], Store(store_root)

    def build(changed):
        build_context(changed, store, torch.device("cpu"))

    with pytest.raises(UserError, match="it makes images of 'shapes' at 32 px, must be of this run's set"):
        build(spec.model_copy(update={"data": STYLES}))
    with pytest.raises(UserError, match="source 'run' was not given, must be a run"):
        build(spec.model_copy(update={"sources": {}}))
    path = store_root / "own.pt"
    checkpoints.write_weights(path, {"ema": {}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_WEIGHTS", str(store_root))
        with pytest.raises(UserError, match="source 'run' is a weights file, must be a run"):
            build(spec.model_copy(update={"sources": {"run": WeightsFile(weights="own")}}))
    plain = train("baseline", steps=2).spec
    with pytest.raises(UserError, match="its method 'baseline' cannot be asked for a class"):
        build(spec.model_copy(update={"sources": {"run": plain}}))
    few = train("class-conditional", steps=2, data=DataSpec(name="shapes", resolution=32, shots=1)).spec
    with pytest.raises(UserError, match="it has been trained on no image of class"):
        build(spec.model_copy(update={"sources": {"run": few}}))
    assert run.uid in {folder.uid for folder in store}
