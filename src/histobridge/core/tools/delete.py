"""Delete a fibre: the axon and its sheath in one action."""

import numpy as np

from histobridge.core.manifest import IGNORE
from histobridge.core.tools.near import fibres_around
from histobridge.core.tools.pick import pixel
from histobridge.core.tools.result import ToolError, ToolResult, View, edited


def delete_fibre(view: View, at: tuple[float, float]) -> ToolResult:
    """Make the fibre under a click background; its neighbours keep their sheaths.

    Parameters
    ----------
    view : View
        Constraints of ownership count. For a class that neither encloses nor is enclosed the connected pixels go.
    at : tuple of float
        (y, x), pixels of the tile, on the axon or on its sheath.

    Returns
    -------
    ToolResult

    Raises
    ------
    ToolError
        If there is no object at this place.
    """
    y, x = pixel(view, at)
    value = int(view.classes[y, x])
    if value in (0, IGNORE):
        raise ToolError("Nothing was changed: there is no object at this place.")
    window, fibres = fibres_around(view, [(y, x)])
    mask = fibres == fibres[y - window[0].start, x - window[1].start]
    classes = view.classes[window]
    message = "The object was deleted."
    if value in (view.inner, view.outer):
        has_axon = bool((classes[mask] == view.inner).any())
        message = "The axon and its sheath were deleted." if has_axon else "A sheath without an axon was deleted."
    return edited(view, window, np.where(mask, np.uint8(0), classes), message)
