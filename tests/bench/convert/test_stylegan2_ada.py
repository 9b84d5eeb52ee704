"""stylegan2-ada-pytorch: the images and logits of an imported snapshot are those of the original's formulas."""

import pytest
import torch

from ada_snapshots import WIDTHS, W, Z, generate, judge, make_generator, save


@pytest.mark.parametrize(
    ("architecture", "clamp", "group", "protocol"),
    [("resnet", None, 2, 3), ("orig", None, 4, 4), ("resnet", 1.5, 2, 4), ("orig", 1, 2, 3)],
)
def test_images_and_logits_are_the_originals(
    architecture, clamp, group, protocol, tmp_path, draws, imported, assert_equal
):
    path = tmp_path / "network-snapshot-025000.pkl"
    g, d = save(path, draws, clamp=clamp, architecture=architecture, group=group, protocol=protocol)
    ours_g, ours_d, weights = imported("stylegan2-ada", path, settings={"noise": "const"})
    assert weights["network"] == {
        "name": "stylegan2-32",
        "options": {
            "z_dim": Z, "w_dim": W, "channel_base": 96, "channel_max": 8, "mapping_layers": 3, "clamp": clamp,
            "d_architecture": architecture, "mbstd_group": group, "noise": "const",
        },
    }  # fmt: skip
    z = draws(4, Z)
    with torch.no_grad():
        images = generate(g, z, 3, WIDTHS, clamp)
        assert_equal(ours_g(z), images)
        assert_equal(ours_d(images), judge(d, images, WIDTHS, clamp, group))
        ours_g.truncation = 0.5
        assert_equal(ours_g(z), generate(g, z, 3, WIDTHS, clamp, psi=0.5))


def test_of_a_network_with_classes_too(tmp_path, draws, imported, assert_equal):
    """ADA's CIFAR-10 form: both networks embed the class by a linear map, D judges by the mapped class alone."""
    g, d = save(tmp_path / "cifar10.pkl", draws, architecture="orig", classes=5)
    ours_g, ours_d, weights = imported("stylegan2-ada", tmp_path / "cifar10.pkl", settings={"noise": "const"})
    options = weights["network"]["options"]
    assert options | {
        "z_dim": Z, "w_dim": W, "shared_dim": W, "condition_dim": 5, "condition_form": "ada",
        "condition_norm": "separate", "mapping_layers": 3, "class_layers": 2,
    } == options  # fmt: skip
    z, label = draws(4, Z), torch.eye(5)[[0, 3, 4, 3]]
    with torch.no_grad():
        images = generate(g, z, 3, WIDTHS, None, label=label)
        assert_equal(ours_g(z, label), images)
        assert_equal(ours_d(images, label), judge(d, images, WIDTHS, None, 2, label))
        assert (images - generate(g, z, 3, WIDTHS, None, label=label.roll(1, 0))).abs().max() > 0.1
    with pytest.raises(ValueError, match="by class alone"):
        ours_d.unconditional_logits(images)


def test_the_clamp_matters(draws):
    """Without it the test above would not see a clamp that is missing."""
    g, z = make_generator(draws, WIDTHS, clamp=1.5).state_dict(), draws(4, Z)
    assert (generate(g, z, 3, WIDTHS, 1.5) - generate(g, z, 3, WIDTHS, None)).abs().max() > 0.1


def test_a_generator_alone(tmp_path, draws, imported):
    save(tmp_path / "ffhq.pkl", draws, D=None)
    assert "discriminator" not in imported("stylegan2-ada", tmp_path / "ffhq.pkl")[2]
