"""`bench weights import`: names, refusals, hostile files; nothing is written unless all of it is right."""

import os
import zipfile

import pytest
import torch
from click.testing import CliRunner

from bench.cli.weights import weights
from bench.convert import FORMATS
from bench.convert.importing import import_checkpoint
from bench.errors import UserError
from bench.files.weights import read_weights


class System:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def sngan(tmp_path, draws):
    """A mimicry generator at 32 px, eight channels wide, with its checkpoint's dict."""
    model = {"l1.weight": draws(128, 5), "l1.bias": draws(128)}
    for number in (2, 3, 4):
        for layer, kernel in (("c1", 3), ("c2", 3), ("c_sc", 1)):
            model[f"block{number}.{layer}.weight"] = draws(8, 8, kernel, kernel, scale=0.1)
            model[f"block{number}.{layer}.bias"] = draws(8)
    model |= {"c5.weight": draws(3, 8, 3, 3), "c5.bias": draws(3)}
    for name in ("b5", *(f"block{number}.b{norm}" for number in (2, 3, 4) for norm in (1, 2))):
        model |= {f"{name}.weight": draws(8), f"{name}.bias": draws(8), f"{name}.running_mean": draws(8)}
        model |= {f"{name}.running_var": draws.positive(8), f"{name}.num_batches_tracked": torch.tensor(3)}
    path = tmp_path / "netG_100_steps.pth"
    torch.save({"model_state_dict": model, "optimizer_state_dict": None, "global_step": 100}, path)
    return path


def run(*arguments):
    return CliRunner().invoke(weights, ["import", *map(str, arguments)], catch_exceptions=False)


def test_the_command_writes_and_says_how_to_use_it(sngan, weights_root):
    done = run("mimicry-sngan", sngan, "--as", "celeba-32", "--set", "d_width=16")
    assert done.exit_code == 0
    assert f"wrote {weights_root / 'celeba-32.pt'}: ema of sngan-32" in done.output
    assert "sources: {network: {weights: celeba-32}}" in done.output
    options = {"z_dim": 5, "g_width": 8, "upsample": "bilinear", "d_shortcut": "rectified", "d_width": 16}
    written = read_weights(weights_root / "celeba-32.pt")
    assert written["network"] == {"name": "sngan-32", "options": options}
    assert written["origin"]["format"] == "mimicry-sngan" and len(written["origin"]["files"][sngan.name]) == 64
    assert 'network: {name: sngan-32, options: {z_dim: 5, g_width: 8, upsample: "bilinear"' in done.output


def test_the_help_names_every_format():
    shown = run("--help").output
    assert all(entry.name in shown for entry in FORMATS)


def test_weights_are_replaced_on_request_only(sngan, weights_root):
    run("mimicry-sngan", sngan)
    before = (weights_root / "netG_100_steps.pt").stat().st_mtime_ns
    with pytest.raises(UserError, match="exist already; give another name with --as, or --force"):
        run("mimicry-sngan", sngan)
    assert (weights_root / "netG_100_steps.pt").stat().st_mtime_ns == before
    assert run("mimicry-sngan", sngan, "--force").exit_code == 0
    assert [path.name for path in weights_root.iterdir()] == ["netG_100_steps.pt"]


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "", ".hidden", "a b", "-x", "x\n", "..", "a\\b"])
def test_names_that_leave_the_folder_are_refused(name, sngan, weights_root):
    with pytest.raises(UserError, match="must be letters, digits"):
        import_checkpoint("mimicry-sngan", [sngan], name=name)
    assert not weights_root.exists()


def test_a_file_name_that_cannot_name_weights_asks_for_one(sngan, tmp_path):
    sngan.rename(tmp_path / "my net.pth")
    with pytest.raises(UserError, match="give one with --as"):
        run("mimicry-sngan", tmp_path / "my net.pth")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mimicri-sngan", "FILE"], "unknown checkpoint format 'mimicri-sngan'; did you mean 'mimicry-sngan'?"),
        (["mimicry-sngan", "FILE", "--network", "sngan-3"], "unknown network 'sngan-3'; did you mean"),
        (["mimicry-sngan", "FILE", "--network", "sngan-64"], "is of network 'sngan-32', not of 'sngan-64'"),
        (["mimicry-sngan", "FILE", "--set", "g_with=4"], "has no setting 'g_with'; did you mean 'g_width'?"),
        (["mimicry-sngan", "FILE", "--set", "g_width=4"], "'l1.weight' becomes linear.weight of shape (128, 5), which"),
        (["mimicry-sngan", "missing.pth"], "missing.pth does not exist"),
        (["mimicry-sngan", "."], "is a folder, not a file", ),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(arguments, message, sngan, weights_root):
    named = "x" if arguments[1] == "." else "y"
    with pytest.raises(UserError) as error:
        run(*[str(sngan) if one == "FILE" else one for one in arguments], "--as", named)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not weights_root.exists()


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("format_name", ["biggan-pytorch", "mimicry-sngan", "fastgan-released", "stylegan1-port"])
def test_code_is_refused_by_name_and_not_executed(format_name, archive, tmp_path, weights_root):
    ran = tmp_path / "ran"
    path = tmp_path / "x.pth"
    torch.save({"g": System(ran)}, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(UserError) as error:
        import_checkpoint(format_name, [path], network="stylegan1-32" if "port" in format_name else None)
    assert "posix.system" in str(error.value) and "weights_only" not in str(error.value)
    assert not ran.exists() and not weights_root.exists()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-100], lambda data: data[:50], lambda data: b"", lambda data: b"x"]
)
def test_damaged_files_are_user_errors(damage, sngan):
    sngan.write_bytes(damage(sngan.read_bytes()))
    with pytest.raises(UserError, match=r"netG_100_steps\.pth"):
        import_checkpoint("mimicry-sngan", [sngan])


def test_a_flipped_bit_is_seen(sngan):
    data = bytearray(sngan.read_bytes())
    data[len(data) // 2] ^= 1
    sngan.write_bytes(bytes(data))
    with pytest.raises(UserError, match="damaged|not finite|checksum"):
        import_checkpoint("mimicry-sngan", [sngan])


def test_sizes_are_bounded_before_anything_is_unpacked(sngan, tmp_path, monkeypatch):
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(3_000_000))
    assert packed.stat().st_size < 10_000
    monkeypatch.setattr("bench.files.foreign.MOST_BYTES", 10_000)
    with pytest.raises(UserError, match="unpacks to 3000000 bytes; at most 10000"):
        import_checkpoint("mimicry-sngan", [packed])
    with pytest.raises(UserError, match="bytes; at most 10000 are read"):
        import_checkpoint("mimicry-sngan", [sngan])


def test_a_full_disk_leaves_nothing(sngan, weights_root, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        import_checkpoint("mimicry-sngan", [sngan])
    assert list(weights_root.iterdir()) == []
