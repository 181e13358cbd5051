"""Are our networks and losses those of CycleGAN and CUT? Same weights, same input: the largest difference.

    python benchmarks/fidelity_cut.py --cut CLONE

CLONE is a folder with a clone of https://github.com/taesungp/contrastive-unpaired-translation, whose networks are
those of CycleGAN too; it is run, never copied. A difference above 1e-5 of the largest output makes the exit code 1.
"""

import contextlib
import functools
import importlib
import io
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from fidelity import Row, compared, load, report, shaken
from histobridge.core.translate.patch_nce import Projection, features_at, patch_contrast
from histobridge.core.translate.patchgan import build_patchgan
from histobridge.core.translate.resnet import TAPS, build_resnet

SIZE_PX = 128


def main() -> int:
    return report(__doc__, "cut", "clone of the authors' CUT", compare)


def compare(clone: Path) -> Iterator[Row]:
    """Name, weights, largest difference and largest output of the networks, then of PatchNCE."""
    if not (clone / "models" / "patchnce.py").exists():
        raise SystemExit(f"{clone} is no clone of CUT: it has no models/patchnce.py")
    sys.path.insert(0, str(clone))
    with contextlib.redirect_stdout(io.StringIO()):
        networks, patchnce = (importlib.import_module(f"models.{name}") for name in ("networks", "patchnce"))
    norm = functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=False)
    image = torch.rand(1, 1, SIZE_PX, SIZE_PX) * 2 - 1
    for antialiased in (False, True):
        plain = {"no_antialias": not antialiased}
        kind = "anti-aliased" if antialiased else "plain"
        for blocks in (6, 9):
            options = {**plain, "no_antialias_up": not antialiased, "n_blocks": blocks}
            theirs = shaken(networks.ResnetGenerator(1, 1, 64, norm_layer=norm, use_dropout=False, **options))
            ours = build_resnet(blocks=blocks, antialiased=antialiased)
            load(ours.parameters(), theirs)
            yield compared(f"ResNet, {blocks} blocks, {kind}", theirs, ours(image), theirs(image))
        judge = shaken(networks.NLayerDiscriminator(1, 64, 3, norm_layer=norm, **plain))
        ours = build_patchgan(antialiased=antialiased)
        load(ours.parameters(), judge)
        yield compared(f"PatchGAN, {kind}", judge, ours(image), judge(image))
    yield from contrast(networks, patchnce, build_resnet(antialiased=True), image)


def contrast(networks: object, patchnce: object, net: nn.Sequential, image: torch.Tensor) -> Iterator[Row]:
    """Compare the descriptions of patches at the same places, and the loss of each layer."""
    keys, queries = (features_at(net, seen, TAPS) for seen in (image, net(image)))
    theirs = networks.PatchSampleF(use_mlp=True, nc=256)
    theirs.create_mlp(keys)
    shaken(theirs)
    ours = Projection([feature.shape[1] for feature in keys])
    load(ours.parameters(), theirs)
    wanted, places = theirs(keys, 256, None)
    found, _ = theirs(queries, 256, places)
    said = [ours(features, [torch.as_tensor(place) for place in places]) for features in (queries, keys)]
    yield compared("descriptions of patches", theirs, torch.cat(said[1], 1)[0], torch.cat(wanted))
    loss = patchnce.PatchNCELoss(Namespace(batch_size=1, nce_includes_all_negatives_from_minibatch=False, nce_T=0.07))
    expected = torch.stack([loss(query, key).mean() for query, key in zip(found, wanted, strict=True)]).mean()
    yield compared("PatchNCE", theirs, patch_contrast(*said), expected)


if __name__ == "__main__":
    sys.exit(main())
