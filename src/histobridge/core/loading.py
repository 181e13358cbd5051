"""Loading MONAI, which two threads of one process must never do at once."""

import threading
from importlib import import_module
from typing import Any

_LOADING = threading.RLock()


def whole(name: str) -> Any:
    """Import a module, once nobody else is importing one by this function, and return it.

    MONAI's packages import each other in circles. While one thread is in the middle of that, another one that enters
    the circle elsewhere finds modules that are not ready, and the imports of both fail.

    Parameters
    ----------
    name : str
        Such as ``monai.networks.nets.unet``.
    """
    with _LOADING:
        return import_module(name)
