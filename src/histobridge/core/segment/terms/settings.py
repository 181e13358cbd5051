"""Settings of every term, readable without torch."""

from typing import Annotated

from pydantic import Field

from histobridge.core.segment.terms.adversarial_settings import (
    AdversarialEntropySettings,
    AdversarialFeaturesSettings,
    AdversarialMasksSettings,
    AdversarialOutputSettings,
    DiscriminatorSelfTrainingSettings,
)
from histobridge.core.segment.terms.consistency_settings import (
    EntropySettings,
    GammaModelSettings,
    MultiViewSettings,
    PiModelSettings,
    TemporalEnsemblingSettings,
)
from histobridge.core.segment.terms.contrastive_settings import ContrastiveGlobalSettings, ContrastiveLocalSettings
from histobridge.core.segment.terms.mixing_settings import CutMixSettings, InterpolationSettings, MixUpSettings
from histobridge.core.segment.terms.pair_settings import CrossPseudoSettings
from histobridge.core.segment.terms.pretext_settings import JigsawSettings, MutualInformationSettings, RotationSettings
from histobridge.core.segment.terms.semantic_settings import SemanticConsistencySettings
from histobridge.core.segment.terms.strong_settings import FixMatchSettings, UniMatchSettings
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings, UncertaintyMeanTeacherSettings

TermSettings = Annotated[
    GammaModelSettings
    | PiModelSettings
    | TemporalEnsemblingSettings
    | MultiViewSettings
    | EntropySettings
    | MeanTeacherSettings
    | UncertaintyMeanTeacherSettings
    | InterpolationSettings
    | MixUpSettings
    | CutMixSettings
    | CrossPseudoSettings
    | FixMatchSettings
    | UniMatchSettings
    | AdversarialMasksSettings
    | DiscriminatorSelfTrainingSettings
    | AdversarialOutputSettings
    | AdversarialEntropySettings
    | AdversarialFeaturesSettings
    | SemanticConsistencySettings
    | ContrastiveGlobalSettings
    | ContrastiveLocalSettings
    | RotationSettings
    | JigsawSettings
    | MutualInformationSettings,
    Field(discriminator="kind"),
]
"""Whichever term; its `kind` says which."""

PretrainTermSettings = Annotated[
    ContrastiveGlobalSettings
    | ContrastiveLocalSettings
    | RotationSettings
    | JigsawSettings
    | MutualInformationSettings,
    Field(discriminator="kind"),
]
"""Those that need no label at all."""
