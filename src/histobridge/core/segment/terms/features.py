"""What a segmenter makes of an image inside: its bottleneck and the blocks of its decoder."""

from functools import partial
from typing import Any

import torch
from torch import nn

from histobridge.core.errors import InputError
from histobridge.core.loading import whole
from histobridge.core.segment.networks import SIZE_MULTIPLE


class Taps:
    """Where to read the features of a network: of every resolution behind the module that finishes last.

    In a U-Net that is the bottleneck for the smallest maps and the decoder's block for the others; modules that only
    join two maps do not count. Found by one look at an empty image, so any network will do. Hooks live for the call
    alone: nothing of them is copied or saved with the network.

    Parameters
    ----------
    net : nn.Module
        Maps (N, 1, Y, X) to (N, K, Y, X); left as it was.

    Attributes
    ----------
    channels : dict of int to int
        Of the features by their stride, which is the size of the image over that of the map.
    """

    def __init__(self, net: nn.Module):
        skip = whole("monai.networks.layers.simplelayers").SkipConnection
        side = 2 * SIZE_MULTIPLE
        finished: dict[str, torch.Tensor] = {}
        names = [name for name, module in net.named_modules() if not isinstance(module, skip)]
        training = net.training
        with torch.no_grad():
            _run(net.eval(), names, next(net.parameters()).new_zeros(1, 1, side, side), finished)
        net.train(training)
        self._names = {side // map_.shape[-1]: name for name, map_ in finished.items() if map_.ndim == 4}
        self.channels = {stride: finished[name].shape[1] for stride, name in self._names.items()}

    @property
    def bottleneck(self) -> int:
        """Stride of the smallest maps."""
        return max(self.channels)

    def read(self, net: nn.Module, image: torch.Tensor, *strides: int) -> list[torch.Tensor]:
        """Return the features of images, with gradient; runs the whole network.

        Parameters
        ----------
        net : nn.Module
            Built like the one that the taps were found in.
        image : torch.Tensor
            (N, 1, Y, X).
        *strides : int
            Of the maps wanted.

        Returns
        -------
        list of torch.Tensor
            (N, C, Y / stride, X / stride) each.

        Raises
        ------
        InputError
            If the network has no maps of a stride.
        """
        missing = [stride for stride in strides if stride not in self._names]
        if missing:
            raise InputError(
                f"terms: this network has no features at a stride of {missing[0]}; "
                f"choose one of {', '.join(map(str, sorted(self._names)))}"
            )
        found: dict[str, torch.Tensor] = {}
        names = [self._names[stride] for stride in strides]
        _run(net, names, image, found)
        return [found[name] for name in names]


def pooled(features: torch.Tensor) -> torch.Tensor:
    """Mean of every map: (N, C, Y, X) to (N, C)."""
    return features.mean(dim=(2, 3))


def _run(net: nn.Module, names: list[str], image: torch.Tensor, found: dict[str, torch.Tensor]) -> None:
    """Run a network and put what some of its modules return into `found`, in the order in which they finish."""
    modules = dict(net.named_modules())
    handles = [modules[name].register_forward_hook(partial(_keep, found, name)) for name in names]
    try:
        net(image)
    finally:
        for handle in handles:
            handle.remove()


def _keep(found: dict[str, torch.Tensor], name: str, module: nn.Module, inputs: Any, output: Any) -> None:
    del module, inputs
    if isinstance(output, torch.Tensor):
        found[name] = output
