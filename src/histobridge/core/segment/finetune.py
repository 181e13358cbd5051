"""Learn from corrections: the job `finetune`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from histobridge.core.config import FineTuneConfig
from histobridge.core.errors import ProjectError
from histobridge.core.images.working import Window, majority, resampling_matrix
from histobridge.core.job import Job, Progress, counted
from histobridge.core.labels import LabelStore
from histobridge.core.manifest import IGNORE, ImageRecord
from histobridge.core.project import Project
from histobridge.core.proposals import has_proposal, read_proposal
from histobridge.core.pseudo import model_folder
from histobridge.core.runs import Run
from histobridge.core.segment.crops import CropSampler, Field, MixedSampler, Sampler
from histobridge.core.segment.grow import grow
from histobridge.core.segment.learn import is_labelled, labelled_images, working_field
from histobridge.core.segment.model import Segmenter
from histobridge.core.segment.train import train
from histobridge.core.states import ACCEPTED, CORRECTED, IGNORED
from histobridge.core.target_model import TargetModel
from histobridge.core.tiles import tile_grid
from histobridge.core.tutor import TargetLooks, tutor_fields

RING_PX = 3
"""Working pixels around a stroke that count as looked at: who paints a border sees both of its sides."""
AUGMENTATION = 0.5


def finetune(project: Project, run: Run, config: FineTuneConfig) -> Job[dict[str, Any]]:
    """Fine-tune a proposing model on what has been reviewed.

    Starts from the model of a proposing run, never from an earlier fine-tuning unless that is named, so that no drift
    builds up. Reviewed pixels train as they are, unreviewed ones where the proposal is confident, all others are
    ignored; a share of each batch replays the source.

    Parameters
    ----------
    project : Project
    run : Run
        Gets the new model; the old ones stay.
    config : FineTuneConfig

    Yields
    ------
    Progress
        After every optimizer step.

    Returns
    -------
    dict
        ``model`` started from, ``images`` and ``tiles`` learned from, ``reviewed_pixels``.

    Raises
    ------
    ProjectError
        If nothing has been reviewed, or there is no proposing model.
    """
    inputs = _settled(project, run, config)
    model = TargetModel.load(project, model_folder(project, inputs["model"]), config.device)
    # The target may have classes by now that the model has never heard of.
    model.segmenter = grow(model.segmenter, project.classes_of("target"), config.seed)
    yield Progress(0, config.steps, "collecting the corrections")
    fields: list[Field] = []
    images, reviewed = [], 0
    for record in project.images("target"):
        found, pixels = _reviewed_fields(model, record, inputs["proposals"], config.confidence)
        if found:
            images.append(record.id)
            fields += found
            reviewed += pixels
    if not fields:
        raise ProjectError("no target pixel has been reviewed yet; correct or accept a tile on the Review page first")
    sampler: Sampler = CropSampler(fields, config.crop_px, AUGMENTATION, config.seed)
    if config.source_replay > 0 and has_source_labels(project):
        sampler = MixedSampler(sampler, _replay(project, model, config), config.source_replay)
    job = train(model.segmenter.net, sampler, config, run.path, lambda step: run.log("checkpoint", step=step))
    yield from counted(job, "learning from corrections")
    card = model.segmenter.card
    trained_on = tuple(dict.fromkeys((*card.trained_on, *images)))
    tuned = Segmenter(model.segmenter.net, card.model_copy(update={"run": run.id, "trained_on": trained_on}))
    TargetModel(project, tuned, model.view).save(run.path)
    return {"model": inputs["model"], "images": images, "tiles": len(fields), "reviewed_pixels": reviewed}


def _settled(project: Project, run: Run, config: FineTuneConfig) -> dict[str, str]:
    """Which model and which proposals this run builds on; the same when it is resumed."""
    base = project.need("proposals", config.model, "propose labels on the Labels page first")
    proposals = project.active("proposals")
    return run.settle(model=base.id, proposals=proposals.id if proposals else "")


def has_source_labels(project: Project) -> bool:
    """Whether the source has labels to replay."""
    return any(is_labelled(project, record) for record in project.images("source"))


def _replay(project: Project, model: TargetModel, config: FineTuneConfig) -> CropSampler:
    """Source crops in the look that the model was trained on."""
    card, matching = model.segmenter.card, model.matching
    if model.translator is not None:
        fields = [
            working_field(project, image_id, matching.source_working_um, card.values)
            for image_id in labelled_images(project, "source")
        ]
        return CropSampler(fields, config.crop_px, AUGMENTATION, config.seed + 1)
    fields = tutor_fields(project, matching, model.view.tutor or "instant", card.values)
    return CropSampler(fields, config.crop_px, AUGMENTATION, config.seed + 1, look=TargetLooks(project, matching))


def _reviewed_fields(
    model: TargetModel, record: ImageRecord, proposals: str, confidence: float
) -> tuple[list[Field], int]:
    """Training fields of the tiles of one image in which something was reviewed, and how many pixels that is."""
    project = model.project
    store = project.labels(record.id)
    try:
        reviewed = [(window, _reviewed_pixels(store, window)) for window in store.corrections()]
        pixels = sum(count for _, count in reviewed)
        if pixels == 0:
            return [], 0
        image = model.working_image(record.id)
        proposed = proposals if has_proposal(project, proposals, record.id) else ""
        fields = []
        for tile in tile_grid(record.shape):
            near = any(_overlap(tile.window, window) for window, count in reviewed if count)
            if not near or _reviewed_pixels(store, tile.window) == 0:
                continue
            window = _working_window(tile.window, image.zoom, image.shape)
            target = _Target(project, record, store, proposed, confidence)
            labels = model.segmenter.card.to_channels(target.working(window, image.zoom))
            fields.append(Field(model.read(image, window), labels))
        return fields, pixels
    finally:
        store.close()


def _reviewed_pixels(store: LabelStore, window: Window) -> int:
    state = store.read(window)[1]
    return int(np.count_nonzero((state == ACCEPTED) | (state == CORRECTED)))


class _Target:
    """What one image has to teach: reviewed classes, confident proposals, 255 elsewhere."""

    def __init__(self, project: Project, record: ImageRecord, store: LabelStore, proposals: str, confidence: float):
        self.project, self.record, self.store = project, record, store
        self.proposals, self.confidence = proposals, confidence

    def working(self, window: Window, zoom: float) -> NDArray[np.uint8]:
        """Class values of a working window, (Y, X) uint8."""
        from scipy import ndimage

        rows, row_range = resampling_matrix(window[0], zoom, self.record.shape[0])
        columns, column_range = resampling_matrix(window[1], zoom, self.record.shape[1])
        native = (row_range, column_range)
        classes, state = self.store.read(native)
        reviewed = (state == ACCEPTED) | (state == CORRECTED)
        labels = np.where(reviewed, classes, IGNORE).astype(np.uint8)
        if self.proposals:
            proposed, confidence = read_proposal(self.project, self.proposals, self.record.id, native)
            ring = ndimage.binary_dilation(state == CORRECTED, iterations=max(1, round(RING_PX / zoom)))
            trusted = (state != IGNORED) & ~reviewed & (ring | (confidence >= self.confidence * 255))
            labels[trusted] = proposed[trusted]
        return majority(labels, rows, columns)


def _overlap(first: Window, second: Window) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))


def _working_window(window: Window, zoom: float, shape: tuple[int, int]) -> Window:
    """Cover a native window at the working scale."""
    rows, columns = (
        slice(int(axis.start * zoom), min(size, int(np.ceil(axis.stop * zoom))))
        for axis, size in zip(window, shape, strict=True)
    )
    return rows, columns
