"""Files that are damaged or made to harm: bytes at random, sizes that are not there, depth without end.

Every one ends in a line of its own, soon, and with little memory; nothing is written.
"""

import io
import pickle
import random
import struct
import time
import tracemalloc
import zipfile

import pytest
import torch

from bench.convert.importing import import_checkpoint
from bench.errors import UserError
from bench.files.inert_pickle import MOST_STEPS, shown

FORMATS = ("biggan-pytorch", "mimicry-sngan", "fastgan-released", "stylegan1-port", "stylegan2-ada")
LEAST_MEMORY, SECONDS = 30 * 2**20, 60
HEAD = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


def read(format_name, path):
    network = "stylegan1-32" if format_name == "stylegan1-port" else None
    return import_checkpoint(format_name, [path], name="x", network=network)


def text(value):
    """A text as a pickle has it."""
    return b"X" + struct.pack("<I", len(value)) + value


def entry(value):
    """A pickle of a dict with one entry: the pickled bytes of a value without its end mark."""
    return b"\x80\x02}" + text(b"g") + value + b"s."


DEEP = 100_000
NUMBERS = b"".join(b"J" + struct.pack("<i", number) for number in range(2000))
BOMBS = {
    "a memo of 2^31 places": b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + b".",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**38) + b".",
    "text that is not there": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b".",
    "a byte array that is not there": b"\x80\x05\x96" + struct.pack("<Q", 2**38) + b".",
    "a frame that is not there": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}.",
    "a deep list": b"\x80\x02" + b"(" * (DEEP // 4) + b"l" * (DEEP // 4) + b".",
    "a deep tuple in a dict": entry(b")" + b"\x85" * (DEEP // 4)),
    "a deep tuple as a key": b"\x80\x02})" + b"\x85" * DEEP + b"Ns.",
    "a deep tuple in a set": b"\x80\x04\x8f()" + b"\x85" * DEEP + b"\x90.",
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "a dict that holds itself": b"\x80\x02}q\x00X\x01\x00\x00\x00gh\x00s.",
    "a number of 200,000 digits": b"I" + b"9" * 200_000 + b"\n.",
    "a long name": b"c" + b"a" * 100_000 + b"\nb\n.",
    "a name with lines": b"cx\ny\n\n.",
    "no end": b"\x80\x02}",
    "nothing before a mark": b"\x80\x02t.",
    "a persistent id": b"\x80\x02NQ.",
    "an extension": b"\x80\x02\x82\x01.",
    "one list as a set, again and again": (
        b"\x80\x02]q\x00(" + NUMBERS + b"ec__builtin__\nset\nq\x01" + b"h\x01h\x00\x85R" * 2000 + b"."
    ),
    "an old instance": b"(ios\nsystem\n.",
}


def archived(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")


def refused(format_name, path, weights_root):
    """The one line of the refusal, which names the file; in bounded time and memory."""
    tracemalloc.start()
    begun = time.monotonic()
    try:
        with pytest.raises(UserError) as error:
            read(format_name, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < SECONDS
    assert peak < LEAST_MEMORY + 200 * path.stat().st_size
    assert str(path) in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 1000
    assert not weights_root.exists()
    return str(error.value)


@pytest.mark.parametrize("bomb", BOMBS)
def test_pickles_made_to_harm_are_refused(bomb, tmp_path, weights_root):
    """In an archive of torch.save and as a snapshot's pickle."""
    archived(tmp_path / "x.pth", BOMBS[bomb])
    refused("fastgan-released", tmp_path / "x.pth", weights_root)
    (tmp_path / "x.pkl").write_bytes(BOMBS[bomb])
    refused("stylegan2-ada", tmp_path / "x.pkl", weights_root)


@pytest.mark.parametrize("bomb", ["a memo of 2^31 places", "bytes that are not there", "no end"])
def test_so_are_those_in_the_older_format(bomb, tmp_path, weights_root):
    (tmp_path / "x.pth").write_bytes(HEAD + BOMBS[bomb] + pickle.dumps([], 2))
    refused("fastgan-released", tmp_path / "x.pth", weights_root)


def test_a_pickle_has_an_end(tmp_path, weights_root, monkeypatch):
    assert MOST_STEPS == 1_000_000
    monkeypatch.setattr("bench.files.inert_pickle.MOST_STEPS", 1000)
    archived(tmp_path / "x.pth", b"\x80\x02" + b"N0" * 1000 + b"}.")
    assert "more than 1000 steps" in refused("fastgan-released", tmp_path / "x.pth", weights_root)


def tensor(numel, offset=0, size=(3,), stride=(1,), key=b"0", kind=b"FloatStorage", rest=b""):
    """A pickled tensor without its end mark, with what it says of itself."""

    def numbers(values):
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", one) for one in values) + b"t"

    whole = b"\x8a\x08" + struct.pack("<q", numel)
    storage = b"(" + text(b"storage") + b"ctorch\n" + kind + b"\n" + text(key) + text(b"cpu") + whole + b"tQ"
    args = storage + b"\x8a\x08" + struct.pack("<q", offset) + numbers(size) + numbers(stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + args + b"\x89}" + rest + b"tR"


def with_tensor(path, held=3, older=False, **says):
    """A file whose one tensor has `held` numbers in the file, and says what it says."""
    data = entry(tensor(**says))
    if older:
        numel = struct.pack("<q", says["numel"])
        path.write_bytes(HEAD + data + pickle.dumps(["0"], 2) + numel + bytes(4 * held))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/data/0", bytes(4 * held))
    return path


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"numel": 3, "size": (4,)}, "'g': it has 3 numbers, fewer than its shape (4,) needs"),
        ({"numel": 3, "offset": 1}, "'g': it has 3 numbers, fewer than its shape (3,) needs"),
        ({"numel": 3, "offset": 2**40, "size": (1,)}, "'g': it has 3 numbers, fewer than"),
        ({"numel": 3, "size": (2**40,), "stride": (0,)}, "'g': it has 3 numbers, fewer than"),
        ({"numel": 3, "size": (3,), "stride": (0,)}, "with strides (0,) repeats numbers or leaves some out"),
        ({"numel": 3, "size": (2, 1), "stride": (2, 9)}, "repeats numbers or leaves some out"),
        ({"numel": 3, "size": (2, 2), "stride": (1, 1)}, "it has 3 numbers, fewer than its shape (2, 2) needs"),
        ({"numel": 3, "stride": (-1,)}, "'g': its offset, sizes and strides must be whole numbers from 0"),
        ({"numel": 3, "size": (-3,)}, "'g': its offset, sizes and strides must be whole numbers from 0"),
        ({"numel": 3, "offset": -1}, "'g': its offset, sizes and strides must be whole numbers from 0"),
        ({"numel": 3, "size": (1,) * 20, "stride": (1,) * 20}, "must be whole numbers from 0, for 8 axes at most"),
        ({"numel": 3, "size": (3,), "stride": (1, 1)}, "must be whole numbers from 0"),
        ({"numel": 2**50, "size": (2**47,)}, "'g': the file has 3 of the 1125899906842624 numbers that it says"),
        ({"numel": 4, "size": (4,)}, "'g': the file has 3 of the 4 numbers that it says"),
        ({"numel": -3}, "a storage that is not named as torch.save names them"),
        ({"numel": 3, "key": b"7"}, "the numbers of storage '7' are missing"),
        ({"numel": 3, "kind": b"ComplexFloatStorage"}, "'g' is complex; only dense tensors of plain real numbers"),
        ({"numel": 3, "kind": b"QInt8Storage"}, "'g' is quantised; only dense tensors of plain real numbers"),
        ({"numel": 3, "kind": b"hub"}, "refers to torch.hub, which is not allowed"),
        ({"numel": 3, "rest": b"}X\x03\x00\x00\x00neg\x88s"}, "'g' is marked a dict of 1; only dense"),
    ],
)  # fmt: skip
def test_what_a_tensor_says_of_itself_is_held_against_the_file(says, message, tmp_path, weights_root):
    path = with_tensor(tmp_path / "x.pth", **says)
    assert message in refused("fastgan-released", path, weights_root)


@pytest.mark.parametrize(("numel", "held"), [(2**48, 3), (4, 3), (3, 4), (-1, 3), (0, 3)])
def test_storages_of_the_older_format_are_as_long_as_the_file_says(numel, held, tmp_path, weights_root):
    path = with_tensor(tmp_path / "x.pth", held, older=True, numel=numel, size=(max(numel, 0),))
    refused("fastgan-released", path, weights_root)


@pytest.mark.parametrize(
    "change",
    [
        lambda archive: archive.writestr("archive/data.pkl", bytes(10_000), zipfile.ZIP_DEFLATED),
        lambda archive: archive.writestr("archive/constants.pkl", b"x") or archive.writestr("archive/data.pkl", b"}."),
        lambda archive: archive.writestr("archive/data", b"x"),
        lambda archive: archive.writestr("a/data.pkl", b"}.") or archive.writestr("b/data.pkl", b"}."),
        lambda archive: archive.writestr("a/data.pkl", b"}.") or archive.writestr("a/byteorder", b"big"),
    ],
    ids=["packed", "script", "no pickle", "two pickles", "big-endian"],
)  # fmt: skip
def test_archives_that_torch_does_not_write_are_refused(change, tmp_path, weights_root):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        change(archive)
    refused("fastgan-released", tmp_path / "x.pth", weights_root)


def damaged(data, stream):
    """Some bytes changed, cut out, put in or repeated, or the end cut off."""
    data = bytearray(data)
    for _ in range(stream.randrange(1, 4)):
        place = stream.randrange(len(data)) if data else 0
        kind = stream.randrange(5)
        if kind == 0 and data:
            data[place] = stream.randrange(256)
        elif kind == 1:
            data[place : place + stream.randrange(1, 9)] = b""
        elif kind == 2:
            data[place:place] = stream.randbytes(stream.randrange(1, 9))
        elif kind == 3:
            data[place:place] = data[place : place + stream.randrange(1, 99)]
        else:
            del data[max(1, place) :]
    return bytes(data)


def small(folder, format_name, draws):
    """A small file with the structure of the format; the names need not be complete to be read."""
    state = {f"layer.{number}.weight": draws(2, 3) for number in range(3)}
    if format_name == "stylegan2-ada":
        root = draws.part("Generator", z_dim=3, init={"c_dim": 0}, c_dim=0, img_resolution=32).put(weight=draws(2))
        root.inner = draws.part("Layer", gain=0.5).put(weight=draws(3, 2), bias=draws(1))
        return draws.snapshot(folder / "x.pkl", {"G_ema": root, "D": None})
    wrapped = {
        "biggan-pytorch": state,
        "mimicry-sngan": {"model_state_dict": state, "global_step": 1},
        "fastgan-released": {"g": state, "d": state, "g_ema": list(state.values())},
        "stylegan1-port": {
            "g_running": state,
            "discriminator": state,
            "g_optimizer": {"state": {0: {"step": 1}}},
        },
    }
    torch.save(wrapped[format_name], folder / "x.pth", _use_new_zipfile_serialization=False)
    return folder / "x.pth"


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of Python's own, in a damaged text
@pytest.mark.parametrize("format_name", FORMATS)
def test_bytes_at_random_never_crash_and_never_hang(format_name, tmp_path, draws, weights_root):
    """300 damaged files; each is refused in a line, or (a number changed in its last digits) read as it is."""
    stream, path = random.Random(format_name), small(tmp_path, format_name, draws)
    whole = path.read_bytes()
    for _ in range(300):
        path.write_bytes(damaged(whole, stream))
        begun = time.monotonic()
        with pytest.raises(UserError) as error:  # the names are not those of a network, so nothing is ever imported
            read(format_name, path)
        assert time.monotonic() - begun < SECONDS
        assert "\n" not in str(error.value) and len(str(error.value)) < 1000
    assert not weights_root.exists()


def test_a_damaged_pickle_inside_a_sound_archive(tmp_path, draws, weights_root):
    """Its checksums are right, so that only reading shows the damage."""
    stream, buffer = random.Random(7), io.BytesIO()
    torch.save({"g": {"a": draws(2, 3)}, "d": {"b": draws(4)}, "opt_g": {"state": {0: {"step": 3}}}}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    for _ in range(300):
        path = tmp_path / "x.pth"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, damaged(data, stream) if name.endswith("data.pkl") else data)
        with pytest.raises(UserError) as error:
            read("fastgan-released", path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 1000
    assert not weights_root.exists()


def test_any_value_of_a_file_is_shown_in_a_short_line():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (
        deep,
        {"a": deep},
        "x\ny" * 1000,
        10**5000,
        float("nan"),
        b"\n" * 99,
        (1, 2),
        [deep],
        {1},
        None,
    ):
        assert len(shown(value)) < 120 and "\n" not in shown(value)
    assert (shown("a'b"), shown((1, "x")), shown([2.5])) == ('"a\'b"', "(1, 'x')", "[2.5]")
