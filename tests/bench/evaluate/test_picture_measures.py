"""Measures that give pictures, of real runs of a step: each picture is what the generator makes by hand."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench import features, seeds
from bench.data import imageset
from bench.data.contact_sheet import contact_sheet, cut_sheet
from bench.errors import UserError
from bench.evaluate import edits
from bench.evaluate.frames import Frames, Inputs, on_the_way
from bench.evaluate.registry import parse_measure, refuse_impossible, run_measure, settings_of
from bench.evaluate.subject import Subject
from bench.features.perceptual import lpips_distance
from bench.networks.common import noise
from bench.networks.common.pixels import signed_images, to_uint8
from bench.run.execute import execute
from bench.run.reopen import reopen
from bench.run.settings import Settings
from bench.spec.run import DataSpec, NetworkSpec, evaluation_run
from bench.store.runs import Store
from bench.train.sampling import batch_statistics

FASTGAN = NetworkSpec(name="fastgan-64", options={"ngf": 4, "ndf": 4, "z_dim": 16, "decoder_width": 4})
LABELLED = DataSpec(name="digits", resolution=32, shots=40)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_spec):
    """Finished runs by a short name, each trained once: (spec, the run opened at its final snapshot)."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("pictures"))
    specs = {
        "priors": tiny_spec("disp(prior=random)", steps=2, scored=True),
        "plain": tiny_spec("unconditional", steps=2, scored=True),
        "features": tiny_spec("disp(prior=effnet_lite0, prior_size=32)", steps=1, scored=True),
        "classes": tiny_spec("class-conditional", steps=1, scored=True, data=LABELLED),
        "fastgan": tiny_spec("sle + ae-d(loss=l1)", steps=1, scored=True, batch_statistics=8).model_copy(
            update={"network": FASTGAN, "data": DataSpec(name="shapes", resolution=64, shots=16)}
        ),
    }
    opened = {}

    def of(name):
        if name not in opened:
            spec = type(specs[name]).model_validate(specs[name].model_dump())  # a copy would keep its name
            folder = store.open(spec)
            outcome = execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None)
            assert outcome == "done", folder.error()
            again = partial(reopen, folder, store, "final")
            opened[name] = SimpleNamespace(spec=spec, open=again(), again=again)
        return opened[name]

    return of


def subject_of(run, **measure):
    task = evaluation_run(parse_measure({"snapshot": "final", **measure}), run.spec, run.spec.protocol)
    return Subject(task, lambda inference: run.open)


def grid_of(run, **measure):
    subject = subject_of(run, **measure)
    refuse_impossible(subject.task)
    card = run_measure(measure["measure"])
    result = card.compute(subject, settings_of(subject.task.measure))
    assert card.pictures and bool(result.values) == bool(card.outputs)
    return result.grid


def by_hand(run, purpose, *inputs, own_statistics=False):
    """What the generator makes of its inputs, with the noise of a purpose."""
    statistics = batch_statistics(run.open.generator) if own_statistics else torch.no_grad()
    with torch.no_grad(), statistics, noise.drawn_from(purpose):
        return to_uint8(run.open.generator(*inputs))


def test_samples_are_the_first_that_are_scored(runs):
    run = runs("priors")
    grid = grid_of(run, measure="samples", rows=2, columns=3)
    assert np.array_equal(grid.images_NHWC, run.open.all_images(6)) and grid.size == "2 rows of 3"
    more = grid_of(run, measure="samples", rows=3, columns=4)
    assert np.array_equal(more.images_NHWC[:6], grid.images_NHWC), "more of them begin with the same"


def test_training_images_are_drawn_without_repetition(runs):
    run = runs("plain")
    grid = grid_of(run, measure="samples", images="training", rows=2, columns=4)
    train = {image.tobytes() for image in run.open.ctx.images_u8_NHWC}
    drawn = [image.tobytes() for image in grid.images_NHWC]
    assert len(set(drawn)) == 8 and set(drawn) <= train
    assert not np.array_equal(grid.images_NHWC, run.open.ctx.images_u8_NHWC[:8]), "not the first ones"
    with pytest.raises(UserError, match="has 16 such training images, 40 are asked for"):
        grid_of(run, measure="samples", images="training", rows=5)


def test_samples_of_a_class_are_of_that_class_at_latents_of_its_column(runs):
    run = runs("classes")
    grid = grid_of(run, measure="samples", classes=3, columns=4)
    labels = sorted(set(run.open.ctx.labels_N.tolist()))
    chosen = [labels[0], labels[round((len(labels) - 1) / 2)], labels[-1]]
    assert grid.rows == tuple(f"class {label}" for label in chosen)
    z_NZ = torch.randn(4, 16, generator=seeds.torch_stream(0, "evaluate", "samples", "class-latents"))
    sampler = run.open.method.class_sampler(run.open.ctx)
    for row, label in enumerate(chosen):
        with torch.no_grad():
            made = sampler(run.open.generator, z_NZ, torch.full((4,), label), torch.Generator())
        assert np.array_equal(grid.images_NHWC[4 * row : 4 * row + 4], to_uint8(made))
    with pytest.raises(UserError, match=f"has training images of {len(labels)} classes, 99 are asked for"):
        grid_of(run, measure="samples", classes=99)
    with pytest.raises(UserError, match="cannot be asked for a class; leave classes out"):
        grid_of(runs("plain"), measure="samples", classes=2)
    with pytest.raises(UserError, match="a row is a class, and there are 2 classes; leave rows out"):
        parse_measure({"measure": "samples", "classes": 2, "rows": 3})


@pytest.mark.parametrize("between", ["latents", "conditions", "both"])
def test_an_interpolation_is_what_the_generator_makes_on_the_way(runs, between):
    run = runs("priors")
    grid = grid_of(run, measure="interpolation", between=between, pairs=2, steps=3)
    assert grid.columns == ("0.00", "0.50", "1.00") and grid.size == "2 rows of 3"
    draw = [seeds.torch_stream(0, "evaluate", "interpolation", "ends", name) for name in ("latents", "sampler")]
    z_NZ, conditions = torch.randn(4, 16, generator=draw[0]), []
    hook = run.open.generator.register_forward_pre_hook(lambda module, inputs: conditions.append(inputs[1]))
    with torch.no_grad():
        run.open.method.sampler(run.open.ctx)(run.open.generator, z_NZ, draw[1])
    hook.remove()
    (c_NK,) = conditions
    # The second row, by hand: from the third draw to the fourth
    for place, share in enumerate((0.0, 0.5, 1.0)):
        z = z_NZ[2] if between == "conditions" else on_the_way(z_NZ[2], z_NZ[3], share)
        c = c_NK[2] if between == "latents" else torch.lerp(c_NK[2], c_NK[3], share)
        made = by_hand(run, torch.Generator(), z[None], c[None])
        assert np.abs(made.astype(int) - grid.images_NHWC[3 + place]).max() <= 1
    finer = grid_of(run, measure="interpolation", between=between, pairs=2, steps=5)
    assert np.array_equal(finer.images_NHWC[[0, 2, 4, 5, 7, 9]], grid.images_NHWC), "a picture does not know its grid"


def test_embeddings_that_are_drawn_are_interpolated_as_embeddings(runs):
    """Those of a mixture enter G behind its embedding layer."""
    run = runs("features")
    mixture = SimpleNamespace(spec=run.spec, open=run.again(inference={"sampling": "gmm-2"}))
    grid = grid_of(mixture, measure="interpolation", between="conditions", pairs=1, steps=3)
    drawn = Frames(subject_of(mixture, measure="interpolation", between="both")).drawn(2, "ends")
    assert drawn.embedded
    middle = drawn.conditions_NK.mean(0, keepdim=True)
    with torch.no_grad():
        made = to_uint8(run.open.generator.synthesize(drawn.latents_NZ[:1], middle))
    assert np.abs(made[0].astype(int) - grid.images_NHWC[1]).max() <= 1


def test_an_interpolation_between_conditions_needs_some(runs):
    with pytest.raises(UserError, match="its generator has no condition; write between: latents"):
        grid_of(runs("plain"), measure="interpolation", between="conditions")
    assert grid_of(runs("plain"), measure="interpolation", between="latents", pairs=1, steps=2).size == "1 row of 2"


def test_the_way_between_two_latents():
    """Of two at a right angle: cos and sin of the share of it; lengths change evenly; parallel ones have a line."""
    first, last = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 4.0, 0.0])
    for share in (0.0, 0.25, 0.5, 1.0):
        angle = share * np.pi / 2
        hand = (2 + 2 * share) * np.array([np.cos(angle), np.sin(angle), 0])
        assert np.allclose(on_the_way(first, last, share), hand, atol=1e-6)
    assert np.allclose(on_the_way(first, 3 * first, 0.5), 2 * first)
    assert np.allclose(on_the_way(first, -first, 0.25), 0.5 * first)
    assert np.allclose(on_the_way(torch.zeros(3), last, 0.5), last / 2)


def test_norms_of_the_batch_see_the_same_neighbours_for_every_picture(runs):
    """With batch statistics a picture is made beside the first latents of the scores, so that it is a sample."""
    run = runs("fastgan")
    frames = Frames(subject_of(run, measure="interpolation", between="latents"))
    z = torch.randn(1, 16, generator=torch.Generator().manual_seed(3))
    beside = torch.randn(7, 16, generator=seeds.torch_stream(0, "evaluation", "latents", 0))
    stream = seeds.torch_stream(0, "evaluate", "interpolation", 5, "noise")
    hand = by_hand(run, stream, torch.cat([z, beside]), own_statistics=True)
    assert np.array_equal(frames.picture(Inputs(z, None), 5), hand[0])


def test_mixing_swaps_the_maps_that_the_excitation_reads(runs):
    run = runs("fastgan")
    grid = grid_of(run, measure="mixing", contents=1, styles=2, layers="each")
    assert grid.rows == ("", "all layers", "64 px") and grid.columns == ("content", "style 1", "style 2")
    images = grid.images_NHWC.reshape(3, 3, 64, 64, 3)
    assert (images[0, 0] == 255).all() and np.array_equal(images[1], images[2]), "it has one such layer"
    frames = Frames(subject_of(run, measure="mixing"))
    content, styles = frames.drawn(1, "content").at(0), frames.drawn(2, "style")
    assert np.array_equal(images[1, 0], frames.picture(content, "content", 0))
    assert np.array_equal(frames.mixed(content, styles.at(0), (), "content", 0), images[1, 0]), "nothing is swapped"
    assert np.array_equal(images[0, 2], frames.picture(styles.at(1), "style", 1))
    assert not np.array_equal(images[1, 1], images[1, 2])
    with pytest.raises(UserError, match="needs skip-layer excitation, network 'sngan-32' has none"):
        grid_of(runs("plain"), measure="mixing")


def test_the_change_by_a_layer_is_lpips_of_the_swapped_picture(runs):
    """By hand of two contents and two styles; none where the layer does not look at what it reads."""
    run = runs("fastgan")
    subject = subject_of(run, measure="mixing-change", layer=64, contents=2, styles=2)
    refuse_impossible(subject.task)
    settings, card = settings_of(subject.task.measure), run_measure("mixing-change")
    (value,) = card.compute(subject, settings).values
    frames, lpips = Frames(subject), lpips_distance("alex")
    contents, styles = frames.drawn(2, "content"), frames.drawn(2, "style")

    def change(one, other):
        own = frames.picture(contents.at(one), "content", one)
        mixed = frames.mixed(contents.at(one), styles.at(other), (64,), "content", one)
        return float(lpips(signed_images(own[None]), signed_images(mixed[None])))

    far = np.array([[change(one, other) for other in (0, 1)] for one in (0, 1)]).mean(1)
    assert value.value == pytest.approx(far.mean(), rel=1e-5) and value.value > 0
    assert value.error == pytest.approx(abs(far[0] - far[1]) / 2, rel=1e-3)
    blind = SimpleNamespace(spec=run.spec, open=run.again())
    for parameter in blind.open.generator.excitations.parameters():
        parameter.data.zero_()
    again = subject_of(blind, measure="mixing-change", layer=64, contents=2, styles=2)
    assert card.compute(again, settings).values[0].value == 0
    for layer, other, line in (
        (128, run, "has skip-layer excitation at 64 px, not at 128"),
        (64, runs("plain"), "none"),
    ):
        with pytest.raises(UserError, match=line):
            refuse_impossible(subject_of(other, measure="mixing-change", layer=layer).task)


def test_decoders_show_what_the_discriminators_maps_keep(runs):
    """Whole from the last map, a quadrant from a quadrant of the map before: each decoder by hand, of one image."""
    run = runs("fastgan")
    grid = grid_of(run, measure="reconstructions", images=2)
    assert grid.columns == ("augmented", "decoded", "part", "part decoded") and grid.size == "2 rows of 4"
    train, discriminator = run.open.ctx.images_u8_NHWC, run.open.ctx.discriminator.eval()
    chosen = torch.randperm(16, generator=seeds.torch_stream(0, "evaluate", "reconstructions", "images"))[:2]
    assert np.array_equal(grid.images_NHWC[[0, 4]], train[chosen.numpy()]), "nothing augments them here"
    image_NCHW = signed_images(train[chosen[1:].numpy()])
    with torch.no_grad():
        _, maps = discriminator.forward_with_maps(image_NCHW)
        whole = discriminator.decoders["whole"](maps.f2_NCHW)
        quadrants = [
            (image_NCHW[:, :, y : y + 32, x : x + 32], maps.f1_NCHW[:, :, y // 4 : y // 4 + 8, x // 4 : x // 4 + 8])
            for y in (0, 32)
            for x in (0, 32)
        ]
        parts = [
            (to_uint8(cut.repeat_interleave(2, 2).repeat_interleave(2, 3))[0],
             to_uint8(discriminator.decoders["part"](map_NCHW))[0])
            for cut, map_NCHW in quadrants
        ]  # fmt: skip
    assert np.array_equal(grid.images_NHWC[5], to_uint8(whole)[0])
    found = [np.array_equal(grid.images_NHWC[6:8], np.stack(pair)) for pair in parts]
    assert sum(found) == 1
    with pytest.raises(UserError, match="its discriminator is trained with no decoders; take a run of ae-d"):
        grid_of(runs("plain"), measure="reconstructions")
    with pytest.raises(UserError, match="has 16 training images, 17 are asked for: lower images"):
        grid_of(run, measure="reconstructions", images=17)


def test_a_training_is_shown_by_the_pictures_that_it_has_kept(runs):
    run = runs("plain")
    grid = grid_of(run, measure="over-training", snapshots=2, columns=5)
    assert grid.rows == ("step 1", "step 2")
    assert np.array_equal(grid.images_NHWC[5:], run.open.all_images(5)), "the last ones are those of the end"
    assert not np.array_equal(grid.images_NHWC[:5], grid.images_NHWC[5:])
    with pytest.raises(UserError, match="has 24 images, 30 are asked for"):
        grid_of(run, measure="over-training", columns=30)


def test_pictures_of_priors_are_what_the_generator_makes_of_them(runs):
    run = runs("features")
    images = imageset.load("shapes", 32).test[:2]
    c_NK = run.open.method.query_condition()(run.open.ctx, images)
    z_NZ = torch.randn(3, 16, generator=seeds.torch_stream(0, "evaluate", "prior-pictures", "latents", "latents"))
    grid = grid_of(run, measure="prior-pictures", kind="image", images=2, pictures=3)
    assert grid.columns == ("image", "z 1", "z 2", "z 3")
    for row in (0, 1):
        assert np.array_equal(grid.images_NHWC[4 * row], images[row])
        for place in range(3):  # one prior in a row, one latent in a column
            made = by_hand(run, torch.Generator(), z_NZ[place][None], c_NK[row][None])
            assert np.array_equal(grid.images_NHWC[4 * row + 1 + place], made[0])
    mixture = SimpleNamespace(spec=run.spec, open=run.again(inference={"sampling": "gmm-2"}))
    same = grid_of(mixture, measure="prior-pictures", kind="image", images=2, pictures=3)
    assert np.array_equal(same.images_NHWC, grid.images_NHWC), "a prior is none of the embeddings that are drawn"
    grey = grid_of(run, measure="prior-pictures", kind="grey", images=1, pictures=3)
    shown = np.stack([edits.grey(images[0])])
    made = by_hand(run, torch.Generator(), z_NZ[:1], run.open.method.query_condition()(run.open.ctx, shown))
    assert np.array_equal(grey.images_NHWC[:3], np.stack([images[0], shown[0], made[0]]))
    pasted = grid_of(run, measure="prior-pictures", kind="cut-mix", images=2, pictures=1).images_NHWC[1]
    from_other = (pasted == images[1]).all(-1)
    assert from_other.sum() >= 16 * 16 and ((pasted == images[0]).all(-1) | from_other).all()


def test_two_priors_are_interpolated_or_mixed_number_by_number(runs):
    run = runs("features")
    images = imageset.load("shapes", 32).test[:2]
    c_NK = run.open.method.query_condition()(run.open.ctx, images)
    z = torch.randn(1, 16, generator=seeds.torch_stream(0, "evaluate", "prior-pictures", "latents", "latents"))
    line, mixed = (grid_of(run, measure="prior-pictures", kind=kind, images=1, pictures=3).images_NHWC
                   for kind in ("interpolation", "mix-up"))  # fmt: skip
    ends = [by_hand(run, torch.Generator(), z, c_NK[place][None])[0] for place in (0, 1)]
    for pictures in (line, mixed):
        assert np.array_equal(pictures[[0, 1, 3, 4]], np.stack([images[0], *ends, images[1]]))
    assert np.array_equal(line[2], by_hand(run, torch.Generator(), z, torch.lerp(c_NK[0], c_NK[1], 0.5)[None])[0])
    chance = torch.rand(c_NK.shape[1], generator=seeds.torch_stream(0, "evaluate", "prior-pictures", "mix-up", 0))
    half = torch.where(chance < 0.5, c_NK[1], c_NK[0])
    assert np.array_equal(mixed[2], by_hand(run, torch.Generator(), z, half[None])[0])
    with pytest.raises(UserError, match="has no condition of an image that it was not trained on"):
        grid_of(runs("priors"), measure="prior-pictures", kind="image")


def test_a_sample_stands_beside_its_nearest_training_image(runs):
    run = runs("plain")
    grid = grid_of(run, measure="nearest", samples=4, trials=2, extractor="effnet_lite0@32")
    assert grid.columns == ("sample", "nearest") * 5 and grid.size == "1 row of 10"
    images, train = run.open.all_images(5), run.open.ctx.images_u8_NHWC
    network = features.load("effnet_lite0@32")
    far = np.linalg.norm(network(images)[:, None].astype(float) - network(np.array(train))[None], axis=2)
    pairs = np.stack([images, train[far.argmin(1)]], 1).reshape(-1, 32, 32, 3)
    assert np.array_equal(grid.images_NHWC, pairs)


def test_queries_stand_above_what_is_found_of_them(runs):
    run = runs("features")
    grid = grid_of(run, measure="inversion", images=3, steps=1, extractor="effnet_lite0@32")
    assert grid.rows == ("query", "inverted") and grid.size == "2 rows of 3"
    queries = imageset.load("shapes", 32).test[:3]
    assert np.array_equal(grid.images_NHWC[:3], queries) and not np.array_equal(grid.images_NHWC[3:], queries)


@pytest.mark.parametrize(("side", "scale"), [(32, 2), (64, 1), (128, 1)])
def test_a_sheet_is_cut_into_the_pictures_that_it_was_made_of(side, scale):
    images = np.random.default_rng(1).integers(0, 256, (13, side, side, 3), np.uint8)
    cut = cut_sheet(contact_sheet(images, scale=scale), side)
    assert len(cut) == 20 and np.array_equal(cut[:13], images) and (cut[13:] == 255).all()
    with pytest.raises(ValueError, match="has no 10 columns of"):
        cut_sheet(Image.new("RGB", (50, 50)), side)
