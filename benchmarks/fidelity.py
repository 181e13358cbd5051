"""Are our networks those of the papers? Same weights, same input: the largest difference from the authors' code.

    python benchmarks/fidelity.py --syndiff CLONE

CLONE is a folder with a clone of https://github.com/icon-lab/SynDiff, which is run, never copied: parts of it are under
a non-commercial licence. Its CUDA kernels are not built; their slow form in plain torch gives the same numbers. Weights
are random, with none near zero, and the same in both. A difference above 1e-5 of the largest output makes the exit
code 1.
"""

import argparse
import contextlib
import importlib
import io
import sys
import types
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.utils.cpp_extension
from torch import Tensor, nn

from histobridge.core.translate.diffusion import vp_schedule
from histobridge.core.translate.ncsnpp import NcsnPlusPlus
from histobridge.core.translate.patchgan import build_patchgan
from histobridge.core.translate.resnet import build_resnet
from histobridge.core.translate.syndiff_presets import SYNDIFF
from histobridge.core.translate.syndiff_settings import SynDiffSettings
from histobridge.core.translate.time_discriminator import TimeDiscriminator

LIMIT = 1e-5
PUBLISHED = {256: "faithful-256", 512: "faithful"}
"""Presets of SynDiff by the side of their crops."""
UPSTREAM = {
    "num_channels": 2,
    "num_channels_dae": 64,
    "ch_mult": [1, 1, 2, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": (16,),
    "dropout": 0.0,
    "resamp_with_conv": True,
    "conditional": True,
    "fir": True,
    "fir_kernel": [1, 3, 3, 1],
    "skip_rescale": True,
    "resblock_type": "biggan",
    "progressive": "none",
    "progressive_input": "residual",
    "progressive_combine": "sum",
    "embedding_type": "positional",
    "fourier_scale": 16.0,
    "not_use_tanh": False,
    "centered": True,
    "z_emb_dim": 256,
    "nz": 100,
    "n_mlp": 3,
    "num_timesteps": 4,
    "beta_min": 0.1,
    "beta_max": 20.0,
    "use_geometric": False,
}


Row = tuple[str, int, float, float]
"""Name, weights, largest difference, largest output."""


def main() -> int:
    return report(__doc__, "syndiff", "clone of icon-lab/SynDiff", syndiff)


def report(described: str | None, option: str, clone: str, compare: Callable[[Path], Iterator[Row]]) -> int:
    """Take the clone from the command line, print what `compare` finds; 1 if anything differs too much."""
    parser = argparse.ArgumentParser(description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(f"--{option}", type=Path, required=True, metavar="CLONE", help=clone, dest="clone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    worst = 0.0
    with torch.no_grad():
        for name, weights, difference, largest in compare(arguments.clone):
            worst = max(worst, difference / largest)
            print(f"{name:34} {weights:>11,} weights  max |diff| {difference:.1e}  of {largest:.2f}", flush=True)
    return int(worst > LIMIT)


def syndiff(clone: Path) -> Iterator[Row]:
    """Name, weights, largest difference and largest output of everything that SynDiff is made of."""
    with authors_code(clone):
        train, discriminators, resnets, generators = (
            importlib.import_module(name)
            for name in (
                "train",
                "backbones.discriminator",
                "backbones.generator_resnet",
                "backbones.ncsnpp_generator_adagn",
            )
        )
        cycle = (
            ("ResNet of the cycle", build_resnet(blocks=6), resnets.define_G(netG="resnet_6blocks")),
            ("PatchGAN of the cycle", build_patchgan(), resnets.define_D()),
        )
    for size, preset in PUBLISHED.items():
        net = shaken(generators.NCSNpp(Namespace(**UPSTREAM, image_size=size)))
        yield ncsnpp(net, SYNDIFF[preset].syndiff, size)
    step = torch.tensor([2, 0])
    x, later = torch.randn(2, 2, 1, 256, 256)
    theirs = shaken(discriminators.Discriminator_large(nc=2, ngf=64, t_emb_dim=256, act=nn.LeakyReLU(0.2)))
    judge = TimeDiscriminator(64, 6, 256)
    load(judge.parameters(), theirs)
    yield compared("time discriminator", theirs, judge(x, step, later), theirs(x, step, later).view(-1))
    for name, net, made in cycle:
        load(net.parameters(), shaken(made))
        yield compared(name, made, net(x), made(x))
    yield from diffusion(train)


def ncsnpp(theirs: nn.Module, settings: SynDiffSettings, size: int) -> Row:
    """Compare the generator of the diffusion at one size, with and without much noise."""
    ours, count = NcsnPlusPlus(settings), 512 // size
    load(in_their_order(ours), theirs)
    noisy, source, latent = *torch.randn(2, count, 1, size, size), torch.randn(count, 100)
    step = torch.tensor([2, 0])[:count]
    said, expected = ours(noisy, source, step, latent), theirs(torch.cat([noisy, source], 1), step, latent)[:, :1]
    return compared(f"NCSN++ at {size} px", theirs, said, expected)


def diffusion(train: Any) -> Iterator[Row]:
    """Compare the coefficients of the diffusion; at t = 0 theirs rounds a noise of 0.0001 to none."""
    ours, options = vp_schedule(), Namespace(**UPSTREAM)
    there, back = train.Diffusion_Coefficients(options, "cpu"), train.Posterior_Coefficients(options, "cpu")
    for name, table, theirs in (
        ("diffusion: signal", ours.signal, there.a_s_cum),
        ("diffusion: noise from t = 1", ours.noise[1:], there.sigmas_cum[1:]),
        ("posterior: weight of x_0", ours.from_clean, back.posterior_mean_coef1),
        ("posterior: weight of x_(t + 1)", ours.from_noisy, back.posterior_mean_coef2),
        ("posterior: variance", ours.spread**2, back.posterior_variance),
    ):
        yield name, 0, (table - torch.as_tensor(theirs)).abs().max().item(), table.abs().max().item()


@contextlib.contextmanager
def authors_code(clone: Path) -> Iterator[None]:
    """Make the authors' modules importable: no compiler, no torchvision, nothing printed."""
    if not (clone / "backbones" / "ncsnpp_generator_adagn.py").exists():
        raise SystemExit(f"{clone} is no clone of SynDiff: it has no backbones/ncsnpp_generator_adagn.py")
    before = torch.utils.cpp_extension.load
    torch.utils.cpp_extension.load = lambda *_, **__: None
    for name in ("torchvision", "torchvision.transforms", "h5py"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    sys.path.insert(0, str(clone))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.path.remove(str(clone))
        torch.utils.cpp_extension.load = before


def shaken(net: nn.Module) -> nn.Module:
    """Give every weight a size at which it matters; published starts hide layers behind others that are nearly zero."""
    for weight in net.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, 0.0, (weight[0].numel() if weight.ndim > 2 else weight.shape[1]) ** -0.5)
        else:
            weight.add_(0.1 * torch.randn_like(weight))
    return net.eval()


def in_their_order(net: NcsnPlusPlus) -> Iterator[Tensor]:
    """Weights of our NCSN++ in the order in which the authors list theirs: the input again behind each halving."""
    again = iter(net.again)
    yield from (*net.time.parameters(), *net.open.parameters())
    for stage in net.down:
        yield from stage.parameters()
        if stage.resamples:
            yield from next(again).parameters()
    for part in (net.middle, net.up, net.norm, net.close, net.latent):
        yield from part.parameters()


def load(ours: Iterable[Tensor], theirs: nn.Module) -> None:
    """Copy weights by order; their 1x1 layers outside of convolutions are stored transposed."""
    names, values = zip(*theirs.named_parameters(), strict=True)
    for weight, name, value in zip(ours, names, values, strict=True):
        weight.copy_(value.T if name.endswith(".W") else value)


def compared(name: str, theirs: nn.Module, said: Tensor, expected: Tensor) -> Row:
    """Say how far our output is from theirs."""
    weights = sum(weight.numel() for weight in theirs.parameters())
    return name, weights, (said - expected).abs().max().item(), expected.abs().max().item()


if __name__ == "__main__":
    sys.exit(main())
