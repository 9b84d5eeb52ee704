"""mimicry's SNGAN: its networks written out here from the formulas, on state dicts with its names, against ours."""

import importlib
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from bench.errors import UserError
from bench.files.weights import read_weights
from bench.networks import build

transfergan = importlib.import_module("bench.methods.transfergan")

# Resolution: G's widths in ngf/16 with its first map's side, and D's in ndf/16 with its halving blocks and head.
G = {
    32: ((16, 16, 16, 16), 4),
    48: ((16, 8, 4, 2), 6),
    64: ((16, 8, 4, 2, 1), 4),
    128: ((16, 16, 8, 4, 2, 1), 4),
}
D = {
    32: ((16, 16, 16, 16), 2, "l5"),
    48: ((1, 2, 4, 8, 16), 4, "l5"),
    64: ((1, 2, 4, 8, 16), 5, "l6"),
    128: ((1, 2, 4, 8, 16, 16), 5, "l7"),
}


class State(dict):
    """A state dict in the making, with mimicry's names."""

    def __init__(self, draws, norm=""):
        super().__init__()
        self.draws, self.norm = draws, norm

    def layer(self, name, *shape):
        weight = self.draws(*shape, scale=torch.Size(shape[1:]).numel() ** -0.5)
        self[f"{name}.bias"] = self.draws(shape[0], scale=0.2)
        if self.norm == "hook":  # torch.nn.utils.spectral_norm
            self[f"{name}.weight_orig"] = weight
            self[f"{name}.weight_u"] = F.normalize(self.draws(shape[0]), dim=0)
            self[f"{name}.weight_v"] = F.normalize(self.draws(weight[0].numel()), dim=0)
            return
        self[f"{name}.weight"] = weight
        if self.norm == "own":
            self[f"{name}.sn_u"], self[f"{name}.sn_sigma"] = self.draws(1, shape[0]), self.draws(1)

    def batch_norm(self, name, channels):
        self[f"{name}.weight"], self[f"{name}.bias"] = (
            self.draws.positive(channels),
            self.draws(channels, scale=0.3),
        )
        self[f"{name}.running_mean"] = self.draws(channels, scale=0.3)
        self[f"{name}.running_var"] = self.draws.positive(channels)
        self[f"{name}.num_batches_tracked"] = torch.tensor(100_000)

    def weight(self, name):
        if self.norm == "hook":
            weight = self[f"{name}.weight_orig"]
            return weight / (self[f"{name}.weight_u"] @ weight.flatten(1) @ self[f"{name}.weight_v"])
        weight = self[f"{name}.weight"]
        if self.norm == "own":  # one more iteration on each call
            v = F.normalize(self[f"{name}.sn_u"] @ weight.flatten(1))
            u = F.normalize(v @ weight.flatten(1).T)
            return weight / (u @ weight.flatten(1) @ v.T)
        return weight

    def conv(self, name, x):
        weight = self.weight(name)
        return F.conv2d(x, weight, self[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def normalised(self, name, x):
        mean, var = self[f"{name}.running_mean"], self[f"{name}.running_var"]
        gain, bias = self[f"{name}.weight"], self[f"{name}.bias"]
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        return x * gain[:, None, None] + bias[:, None, None]


def make_generator(draws, resolution, unit=1, nz=12):
    state = State(draws)
    multiples, side = G[resolution]
    widths = [unit * multiple for multiple in multiples]
    state.layer("l1", widths[0] * side * side, nz)
    for number, (before, after) in enumerate(pairwise(widths), start=2):
        name = f"block{number}"
        state.layer(f"{name}.c1", after, before, 3, 3)
        state.layer(f"{name}.c2", after, after, 3, 3)
        state.batch_norm(f"{name}.b1", before)
        state.batch_norm(f"{name}.b2", after)
        state.layer(f"{name}.c_sc", after, before, 1, 1)
    last = len(widths) + 1
    state.batch_norm(f"b{last}", widths[-1])
    state.layer(f"c{last}", 3, widths[-1], 3, 3)
    return state


def doubled(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def generate(state, z, resolution):
    multiples, side = G[resolution]
    h = F.linear(z, state["l1.weight"], state["l1.bias"]).reshape(len(z), -1, side, side)
    for number in range(2, len(multiples) + 1):
        name = f"block{number}"
        a = state.conv(f"{name}.c1", doubled(F.relu(state.normalised(f"{name}.b1", h))))
        a = state.conv(f"{name}.c2", F.relu(state.normalised(f"{name}.b2", a)))
        h = a + state.conv(f"{name}.c_sc", doubled(h))
    last = len(multiples) + 1
    return torch.tanh(state.conv(f"c{last}", F.relu(state.normalised(f"b{last}", h))))


def make_discriminator(draws, resolution, norm, unit=2):
    state = State(draws, norm)
    multiples, down, head = D[resolution]
    widths = [3, *(unit * multiple for multiple in multiples)]
    for number, (before, after) in enumerate(pairwise(widths), start=1):
        name, hidden = f"block{number}", after if number == 1 else before
        state.layer(f"{name}.c1", hidden, before, 3, 3)
        state.layer(f"{name}.c2", after, hidden, 3, 3)
        if before != after or number <= down:
            state.layer(f"{name}.c_sc", after, before, 1, 1)
    state.layer(head, 1, widths[-1])
    return state


def judge(state, x, resolution):
    multiples, down, head = D[resolution]
    h = F.avg_pool2d(state.conv("block1.c2", F.relu(state.conv("block1.c1", x))), 2)
    x = h + state.conv("block1.c_sc", F.avg_pool2d(x, 2))
    for number in range(2, len(multiples) + 1):
        name = f"block{number}"
        x = F.relu(x)  # in place there, so that the shortcut reads it too
        h = state.conv(f"{name}.c2", F.relu(state.conv(f"{name}.c1", x)))
        if any(key.startswith(f"{name}.c_sc") for key in state):
            x = state.conv(f"{name}.c_sc", x)
        x = F.avg_pool2d(h, 2) + F.avg_pool2d(x, 2) if number <= down else h + x
    return F.linear(F.relu(x).sum(dim=(2, 3)), state.weight(head), state[f"{head}.bias"]).squeeze(1)


def save(folder, state, role):
    """As its BaseModel saves: with the optimiser's state and the step."""
    optimiser = {
        "state": {0: {"step": 1, "exp_avg": torch.zeros(2)}},
        "param_groups": [{"lr": 2e-4, "params": [0]}],
    }
    path = folder / f"net{role}_100_steps.pth"
    torch.save({"model_state_dict": dict(state), "optimizer_state_dict": optimiser, "global_step": 100}, path)
    return path


@pytest.mark.parametrize("resolution", G)
@pytest.mark.parametrize("norm", ["hook", "own"])
def test_images_and_logits_are_the_originals(resolution, norm, tmp_path, draws, imported, assert_equal):
    g_state = make_generator(draws, resolution)
    d_state = make_discriminator(draws, resolution, norm)
    files = save(tmp_path, d_state, "D"), save(tmp_path, g_state, "G")  # in any order
    ours_g, ours_d, weights = imported("mimicry-sngan", *files)
    assert weights["network"]["name"] == f"sngan-{resolution}"
    with torch.no_grad():
        images = generate(g_state, z := draws(2, 12), resolution)
        assert_equal(ours_g(z), images)
        noisy = draws(3, 3, resolution, resolution) * torch.tensor([0.2, 1.0, 3.0])[:, None, None, None]
        assert_equal(ours_d(noisy), judge(d_state, noisy, resolution))


def test_a_table_can_start_from_it(tmp_path, draws, imported, weights_root):
    """What the transfer methods do with a table's `weights: NAME`."""
    files = (
        save(tmp_path, make_generator(draws, 64), "G"),
        save(tmp_path, make_discriminator(draws, 64, "hook"), "D"),
    )
    _, _, written = imported("mimicry-sngan", *files, name="celeba-64")
    weights = read_weights(weights_root / "celeba-64.pt")
    pair = build(written["network"]["name"], **written["network"]["options"])
    for member, network in zip(("ema", "discriminator"), pair, strict=True):
        transfergan.copy_weights(transfergan.source_member(weights, member), network, member)
        assert all(torch.equal(value, weights[member][name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, d: g.pop("b6.running_var"), "'b6.running_var' is missing"),
        (lambda g, d: d.pop("block3.c1.weight_v"), "'block3.c1.weight_v' is missing"),
        (lambda g, d: d.update({"l6.sn_u": torch.ones(1, 1)}), "'l6.sn_u' is unexpected"),
        (lambda g, d: g.update({"block2.b1.embed.weight": torch.ones(2, 2)}), "'block2.b1.embed.weight' is unexpected"),
        (lambda g, d: g.update({"l1.weight": torch.ones(8 * 16, 12)}), "fit no mimicry SNGAN of 32, 48, 64 or 128"),
        (lambda g, d: g["b6.running_mean"].fill_(torch.inf), "'b6.running_mean' holds values that are not finite"),
        (lambda g, d: g.update({"b6.num_batches_tracked": torch.tensor(1.0)}), "is torch.float32, must be torch.int64"),
        (lambda g, d: d.pop("block4.c2.bias"), "becomes blocks.3.conv2.bias"),
    ],
)  # fmt: skip
def test_what_is_not_right_is_named(change, message, tmp_path, draws, imported, weights_root):
    pair = make_generator(draws, 64), make_discriminator(draws, 64, "hook")
    change(*pair)
    with pytest.raises(UserError) as error:
        imported("mimicry-sngan", save(tmp_path, pair[0], "G"), save(tmp_path, pair[1], "D"))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not weights_root.exists()


def test_a_bare_state_dict_is_no_checkpoint_of_mimicry(tmp_path, draws, imported):
    torch.save(dict(make_generator(draws, 32)), tmp_path / "g.pth")
    with pytest.raises(UserError, match="'model_state_dict' is missing"):
        imported("mimicry-sngan", tmp_path / "g.pth")
