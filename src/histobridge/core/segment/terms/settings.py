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
from histobridge.core.segment.terms.contrastive_settings import ContrastiveGlobalSettings, ContrastiveLocalSettings
from histobridge.core.segment.terms.pretext_settings import JigsawSettings, MutualInformationSettings, RotationSettings
from histobridge.core.segment.terms.semantic_settings import SemanticConsistencySettings
from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings

TermSettings = Annotated[
    MeanTeacherSettings
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
