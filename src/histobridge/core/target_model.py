"""How a segmenter sees target images: as they are, or translated to the look of the source."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import Config
from histobridge.core.files import write_json
from histobridge.core.images.working import Window, WorkingImage, resampling_matrix, zoom_of
from histobridge.core.manifest import IGNORE
from histobridge.core.matching import Matching, load_matching
from histobridge.core.project import Project
from histobridge.core.saved import read_saved
from histobridge.core.scale import reference_class
from histobridge.core.segment.model import Segmenter
from histobridge.core.segment.predict import TiledPrediction
from histobridge.core.specks import SHARE_OF_DIAMETER, Specks
from histobridge.core.translate.base import Translator, translate_window
from histobridge.core.translate.learn import load_translator


class View(Config):
    """What a target image goes through before a segmenter; saved beside the model as `view.json`."""

    matching: str
    """Run that matched the domains."""

    translator: str = ""
    """`identity`, `instant` or a run, applied target to source; empty: the image as it is."""

    tutor: str = ""
    """Translator that gave the source images the look the segmenter was trained on; replayed while fine-tuning."""


class TargetModel:
    """A segmenter and the view it needs, ready for native target images.

    Parameters
    ----------
    project : Project
    segmenter : Segmenter
    view : View
    """

    def __init__(self, project: Project, segmenter: Segmenter, view: View):
        self.project = project
        self.segmenter = segmenter
        self.view = view
        self.matching: Matching = load_matching(project, view.matching)
        self.translator: Translator | None = (
            load_translator(project, view.translator, self.matching, segmenter.device) if view.translator else None
        )

    @classmethod
    def load(cls, project: Project, folder: Path, device: str = "auto") -> "TargetModel":
        """Load what `save` wrote; raises `ProjectError` if a file is missing or damaged."""
        view = read_saved(folder / "view.json", View, "propose labels or fine-tune again")
        return cls(project, Segmenter.load(folder, device), view)

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors``, ``model.json`` and ``view.json``."""
        self.segmenter.save(folder)
        write_json(folder / "view.json", self.view.model_dump(mode="json"))

    def working_image(self, image_id: str) -> WorkingImage:
        """Open one target image at the working scale."""
        zoom = zoom_of(self.project.image(image_id), self.matching.target_working_um)
        return WorkingImage(self.project.pixels(image_id), zoom)

    def read(self, image: WorkingImage, window: Window) -> NDArray[np.float32]:
        """Read a window as the segmenter wants it, (Y, X) float32 in [-1, 1]."""
        if self.translator is None:
            return image.read(window)
        return translate_window(self.translator, image.read, image.shape, window, "target_to_source", image.look)

    def whole(self, image_id: str) -> NDArray[np.float32]:
        """Read one whole target image as the segmenter wants it, (Y, X) float32 in [-1, 1]."""
        image = self.working_image(image_id)
        return self.read(image, (slice(0, image.shape[0]), slice(0, image.shape[1])))

    def prediction(
        self, image_id: str, *, flips: bool, turns: bool = False, smallest_object: float = SHARE_OF_DIAMETER
    ) -> "NativePrediction":
        """Prepare to predict one image, block by block.

        Parameters
        ----------
        image_id : str
        flips, turns : bool
            Average over mirrorings, over quarter turns.
        smallest_object : float
            Share of the typical diameter, in [0, 1], below which a region is noise.

        Returns
        -------
        NativePrediction
        """
        image = self.working_image(image_id)
        tiled = TiledPrediction(
            lambda tensor: self.segmenter.probabilities(tensor, flips=flips, turns=turns),
            lambda window: self.read(image, window),
            image.shape,
        )
        allowed = {spec.value for spec in self.project.classes_of("target")}
        values = self.segmenter.card.values
        kept = tuple(value in allowed for value in values)
        return NativePrediction(tiled, image, values, kept, self._specks(smallest_object))

    def _specks(self, share: float) -> Specks | None:
        """What is too small to be an object; none where the segmenter does not know the class counted in objects."""
        reference = reference_class(self.project.manifest, "target").value
        card = self.segmenter.card
        if reference not in card.values:
            return None
        return Specks.of(card.values.index(reference) + 1, card.object_diameter_px, share)


class NativePrediction:
    """Classes and confidence of one image in native pixels, computed block by block.

    Parameters
    ----------
    tiled : TiledPrediction
        At the working scale.
    image : WorkingImage
    values : tuple of int
        Label value of each output channel after the background.
    kept : tuple of bool
        Whether each class occurs in the domain; the probability of others counts as background.
    specks : Specks, optional
        What is too small to be an object and left to the class that comes second.
    """

    def __init__(
        self,
        tiled: TiledPrediction,
        image: WorkingImage,
        values: tuple[int, ...],
        kept: tuple[bool, ...],
        specks: Specks | None = None,
    ):
        self.tiled = tiled
        self.image = image
        self.values = np.array([0, *values], np.uint8)
        self.kept = kept
        self.specks = specks
        if IGNORE in values:
            raise ValueError(f"label value {IGNORE} means unlabelled and cannot be predicted")

    def seen(self, window: Window) -> NDArray[np.float32]:
        """Probabilities of a window at the working scale, (K, Y, X) float32, specks and all."""
        probabilities = self.tiled.window(window)
        for channel, kept in enumerate(self.kept, start=1):
            if not kept:
                probabilities[0] += probabilities[channel]
                probabilities[channel] = 0
        return probabilities

    def working(self, window: Window) -> NDArray[np.float32]:
        """Probabilities of a window at the working scale, (K, Y, X) float32; they sum to less than 1 on specks."""
        return self.specks.without(self.seen, window, self.tiled.shape) if self.specks else self.seen(window)

    def probabilities(self, window: Window) -> NDArray[np.float32]:
        """Probabilities of a native window, (K, Y, X) float32."""
        return natively(self.image, window, self.working)

    def labels(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Classes and confidence (0 to 255 is 0 to 1) of a native window, both (Y, X) uint8."""
        probabilities = self.probabilities(window)
        confidence = np.clip(np.rint(probabilities.max(axis=0) * 255), 0, 255).astype(np.uint8)
        return self.values[probabilities.argmax(axis=0)], confidence


def natively(
    image: WorkingImage, window: Window, working: Callable[[Window], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Bring what is known at the working scale of an image to its native pixels.

    Parameters
    ----------
    image : WorkingImage
    window : tuple of slice
        Native pixels.
    working : callable
        ``working(window)`` gives (K, Y, X) float32 of a window at the working scale.

    Returns
    -------
    (K, Y, X) float32
        Of the native window, resampled; probabilities are resampled before classes are taken, not after.
    """
    rows, row_range = resampling_matrix(window[0], 1 / image.zoom, image.shape[0])
    columns, column_range = resampling_matrix(window[1], 1 / image.zoom, image.shape[1])
    return np.stack([(columns @ (rows @ channel).T).T for channel in working((row_range, column_range))])
