"""A step of training of the authors' code, for `translation_speed.py`."""

import contextlib
import importlib
import sys
import tempfile
import time
import types
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from fidelity import UPSTREAM, authors_code
from histobridge.core.translator_config import TrainTranslatorConfig

WARM_UP = {"cpu": 1, "cuda": 20}
"""Steps that do not count."""


def now(device: str) -> float:
    """Seconds, when all that was asked of a GPU is done; of processor time without one, as others may use it too."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def cut_step(clone: Path, config: TrainTranslatorConfig, device: str) -> Callable[[], None]:
    """A step of the authors' CUT, in both directions, or CycleGAN."""
    if not (clone / "models" / "cut_model.py").exists():
        raise SystemExit(f"{clone} is no clone of CUT: it has no models/cut_model.py")
    import_from(clone)
    shared = {
        **{"gpu_ids": [0] if device == "cuda" else [], "isTrain": True, "checkpoints_dir": "", "name": "speed"},
        **{"preprocess": "crop", "input_nc": 1, "output_nc": 1, "ngf": config.channels, "ndf": config.channels},
        **{"netG": f"resnet_{config.blocks}blocks", "netD": "basic", "n_layers_D": 3, "normG": "instance"},
        **{"normD": "instance", "no_dropout": True, "init_gain": 0.02, "lr": 2e-4, "beta1": 0.5, "beta2": 0.999},
        **{"gan_mode": "lsgan", "batch_size": config.batch_size, "amp": False},
    }
    generator = torch.Generator().manual_seed(0)
    size = (config.batch_size, 1, config.crop_px, config.crop_px)
    data = {name: torch.rand(size, generator=generator) * 2 - 1 for name in "AB"} | {"A_paths": "", "B_paths": ""}
    if config.method == "cyclegan":
        make = importlib.import_module("models.cycle_gan_model").CycleGANModel
        plain = {"no_antialias": True, "no_antialias_up": True, "init_type": "normal", "pool_size": 50}
        weights = {"lambda_A": 10.0, "lambda_B": 10.0, "lambda_identity": 0.5}
        models = [make(Namespace(**shared, **plain, **weights, direction="AtoB"))]
    else:
        make = importlib.import_module("models.cut_model").CUTModel
        contrast = {"nce_layers": "0,4,8,12,16", "nce_idt": True, "netF": "mlp_sample", "netF_nc": 256, "nce_T": 0.07}
        contrast |= {"num_patches": 256, "lambda_GAN": 1.0, "lambda_NCE": 1.0, "flip_equivariance": False}
        contrast |= {"no_antialias": False, "no_antialias_up": False, "init_type": "xavier"}
        contrast |= {"nce_includes_all_negatives_from_minibatch": False}
        models = [make(Namespace(**shared, **contrast, direction=way)) for way in ("AtoB", "BtoA")]
        for model in models:
            model.data_dependent_initialize(data)

    def step() -> None:
        for model in models:
            model.set_input(data)
            model.optimize_parameters()

    return step


class Enough(BaseException):
    """The loop has done all steps that were asked for."""


class Stream:
    """Stands for a data loader: hands out one batch again and again, and notes when it was asked for it."""

    def __init__(self, config: TrainTranslatorConfig, device: str, steps: int):
        generator = torch.Generator().manual_seed(0)
        self.batch = torch.rand(2, config.batch_size, 1, config.crop_px, config.crop_px, generator=generator) * 2 - 1
        self.device, self.count, self.times = device, WARM_UP[device] + steps, []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for _ in range(self.count):
            self.times.append(now(self.device))
            yield tuple(self.batch)
        self.times.append(now(self.device))
        raise Enough


def timed_syndiff(clone: Path, config: TrainTranslatorConfig, device: str, steps: int) -> float:
    """Mean seconds of a step of the authors' loop, which is one function: it is stopped by its data."""
    stream = Stream(config, device, steps)
    with contextlib.ExitStack() as patches, tempfile.TemporaryDirectory() as folder:
        if device == "cpu":
            patches.enter_context(authors_code(clone))
        else:
            import_from(clone)
        resnets, train = map(importlib.import_module, ("backbones.generator_resnet", "train"))

        for name in ("define_G", "define_D"):
            made = getattr(resnets, name)
            width = {"ngf" if name == "define_G" else "ndf": config.channels}
            setattr(resnets, name, lambda made=made, width=width, **kind: made(**kind | width | alone(device)))
        train.torch = Redirected(device)
        train.nn = types.SimpleNamespace(
            parallel=types.SimpleNamespace(DistributedDataParallel=lambda net, **_: net), LeakyReLU=torch.nn.LeakyReLU
        )
        train.CreateDatasetSynthesis = lambda **_: list(range(stream.count))
        train.broadcast_params = lambda _: None
        torch.utils.data.DataLoader = lambda *_, **__: stream
        (Path(folder) / "speed").mkdir()
        with contextlib.suppress(Enough):
            train.train_syndiff(0, 0, syndiff_options(config, folder))
    return (stream.times[-1] - stream.times[WARM_UP[device]]) / steps


def alone(device: str) -> dict[str, Any]:
    """Where the authors' networks are made; on a GPU without their wrapper for several, which is for more than one."""
    return {"gpu_ids": [0] if device == "cuda" else []}


def import_from(clone: Path) -> None:
    """Make the authors' modules importable, without what they import and never call here."""
    for name in ("torchvision", "torchvision.transforms", "h5py"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
    sys.path.insert(0, str(clone))


class Redirected:
    """`torch` for code that asks for a GPU by its number."""

    def __init__(self, device: str):
        self._device = device

    def device(self, _name: str) -> torch.device:
        return torch.device(self._device)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def syndiff_options(config: TrainTranslatorConfig, folder: str) -> Namespace:
    """Options of the authors' script for the same training as ours."""
    settings = config.syndiff
    same = {"image_size": config.crop_px, "num_channels_dae": settings.width, "ngf": settings.judge_width}
    learning = {"lr_g": 1.6e-4, "lr_d": 1e-4, "beta1": 0.5, "beta2": 0.9, "no_lr_decay": False, "lambda_l1_loss": 0.5}
    lazy = {"use_ema": True, "ema_decay": 0.999, "r1_gamma": settings.penalty, "lazy_reg": settings.penalty_every}
    run = {"seed": 0, "resume": False, "batch_size": config.batch_size, "num_epoch": 1, "t_emb_dim": 256}
    place = {
        "input_path": "",
        "output_path": folder,
        "exp": "speed",
        "contrast1": "A",
        "contrast2": "B",
        "world_size": 1,
    }
    return Namespace(**UPSTREAM | same | learning | lazy | run | place)
