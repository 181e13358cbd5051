"""The way of fine-tuning: batches of reviewed tiles and replayed source, cautious with few tiles."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress

from torch import nn

from histobridge.core.config import FineTuneConfig, SegmenterTraining
from histobridge.core.errors import InputError
from histobridge.core.holdout import ReviewedTile
from histobridge.core.job import Job, scaled
from histobridge.core.project import Project
from histobridge.core.pseudo import model_folder
from histobridge.core.runs import Run
from histobridge.core.segment.cautious import frozen_statistics, go_back, replay_share, share_of_the_way, weights_of
from histobridge.core.segment.crops import CropSampler, Field, Look, MixedSampler, Sampler
from histobridge.core.segment.grow import grow
from histobridge.core.segment.learn import is_labelled, labelled_images, nested_channels, working_field
from histobridge.core.segment.model import Segmenter
from histobridge.core.segment.reviewed import Lesson, Teacher, reviewed_tiles
from histobridge.core.segment.sheaths import vary_sheaths
from histobridge.core.segment.train import train
from histobridge.core.segment.unreviewed import unreviewed_pool
from histobridge.core.target_model import TargetModel
from histobridge.core.tutor import TargetLooks, tutor_fields

AUGMENTATION = 0.5


class Practice:
    """Fine-tunes copies of one starting model.

    Parameters
    ----------
    project : Project
    model : str
        Run of the starting model.
    config : FineTuneConfig
    proposals : str
        Run whose proposals were reviewed; empty: none.

    Attributes
    ----------
    start : TargetModel
        The starting model, with a channel for every class of the target; never changed.
    start_run : str
        Its run.
    reviewed : list of ReviewedTile
        All tiles in which something is decided, whether they train or are held out.
    """

    def __init__(self, project: Project, model: str, config: FineTuneConfig, proposals: str):
        self.project, self.config, self.start_run, self.proposals = project, config, model, proposals
        self.start = TargetModel.load(project, model_folder(project, model), config.device)
        # The target may have classes by now that the model has never heard of.
        self.start.segmenter = grow(self.start.segmenter, project.classes_of("target"), config.seed)
        self.reviewed: list[ReviewedTile] = reviewed_tiles(project)
        self._replayed: tuple[list[Field], Look | None] | None = None

    def lessons(self, tiles: Sequence[ReviewedTile]) -> list[Lesson]:
        """What reviewed tiles teach, together with the confident part of the proposals."""
        found = []
        for image_id in dict.fromkeys(tile.image for tile in tiles):
            teacher = Teacher(self.start, image_id, self.proposals, self.config.confidence, self.config.proposal_weight)
            store = self.project.labels(image_id)
            try:
                found += [teacher.lesson(store, tile) for tile in tiles if tile.image == image_id]
            finally:
                store.close()
        return found

    def learn(self, net: nn.Module, lessons: Sequence[Lesson], run: Run | None = None) -> Job[nn.Module]:
        """Fine-tune a copy of the starting network in place.

        Parameters
        ----------
        net : nn.Module
            With the weights of the starting model.
        lessons : sequence of Lesson
            At least one that teaches; the more, the further the weights go and the less of the source is replayed.
        run : Run, optional
            Keeps the checkpoints; none: half of the steps, to estimate what the whole would come to.

        Yields
        ------
        Progress
            After every optimizer step.

        Returns
        -------
        nn.Module
            `net`, in eval mode.
        """
        config = self.config if run else self.config.model_copy(update={"steps": max(1, self.config.steps // 2)})
        start = weights_of(self.start.segmenter.net)
        sampler = yield from self._sampler(lessons)
        pool = None
        if config.terms:
            # Where all is reviewed there is none, which `train` tells if a term needs it.
            with suppress(InputError):
                pool = unreviewed_pool(self.start, self.reviewed, config, AUGMENTATION, self.proposals)
        with frozen_statistics(net) if config.freeze_statistics else nullcontext():
            if run:
                yield from train(net, sampler, config, run.path, lambda step: run.log("checkpoint", step=step), pool)
            else:
                yield from train(net, sampler, config, unlabelled=pool)
        go_back(net, start, share_of_the_way(_tiles(lessons), config.single_tile_share))
        return net

    def model(self, net: nn.Module, run_id: str = "", images: Sequence[str] = ()) -> TargetModel:
        """Give a fine-tuned network the card and the view of the starting model."""
        card = self.start.segmenter.card
        trained_on = tuple(dict.fromkeys((*card.trained_on, *images)))
        card = card.model_copy(update={"run": run_id, "trained_on": trained_on})
        return TargetModel(self.project, Segmenter(net, card), self.start.view)

    def _sampler(self, lessons: Sequence[Lesson]) -> Job[Sampler]:
        config = self.config
        ours = CropSampler([lesson.field for lesson in lessons], config.crop_px, AUGMENTATION, config.seed)
        share = replay_share(_tiles(lessons), config.source_replay)
        if share == 0 or not self._can_replay():
            return ours
        if self._replayed is None:
            self._replayed = yield from self._replay()
        fields, look = self._replayed
        return MixedSampler(ours, CropSampler(fields, config.crop_px, AUGMENTATION, config.seed + 1, look), share)

    def _can_replay(self) -> bool:
        """Whether there are labels of the source, of the subjects that the model was held to."""
        subjects = self.start.segmenter.card.subjects
        allowed = (record for record in self.project.images("source") if not subjects or record.subject in subjects)
        return any(is_labelled(self.project, record) for record in allowed)

    def _replay(self) -> Job[tuple[list[Field], Look | None]]:
        """Source images in the look that the model was trained on, and how its crops are varied."""
        model, project = self.start, self.project
        card, matching = model.segmenter.card, model.matching
        if model.translator is not None:
            labelled = labelled_images(project, "source", card.subjects)
            fields = [working_field(project, name, matching.source_working_um, card.values) for name in labelled]
            look = None
        else:
            job = tutor_fields(project, matching, model.view.tutor or "instant", card.values, model.segmenter.device)
            # The steps are what is counted: these are over before the first.
            fields = yield from scaled(job, 0, 0)
            look = TargetLooks(project, matching)
        # As in the first training: the sheaths of the source must not become the rule again.
        variation = SegmenterTraining().sheath_variation
        return vary_sheaths(fields, nested_channels(project, card.values), variation), look


def _tiles(lessons: Sequence[Lesson]) -> float:
    """How many reviewed tiles the lessons come to."""
    return sum(lesson.tile.share for lesson in lessons)
