"""Make terms from their settings."""

from collections.abc import Sequence
from importlib import import_module

from histobridge.core.segment.terms.base import Student, Term
from histobridge.core.segment.terms.settings import TermSettings

TERMS = {
    "gamma-model": "consistency:GammaModel",
    "pi-model": "consistency:PiModel",
    "temporal-ensembling": "consistency:TemporalEnsembling",
    "multi-view": "consistency:MultiView",
    "entropy": "consistency:Entropy",
    "mean-teacher": "teacher:MeanTeacher",
    "uncertainty-mean-teacher": "teacher:UncertaintyMeanTeacher",
    "interpolation": "mixing:Interpolation",
    "mixup": "mixing:MixUp",
    "cutmix": "mixing:CutMix",
    "cross-pseudo": "pair:CrossPseudo",
    "fixmatch": "strong:FixMatch",
    "unimatch": "strong:UniMatch",
    "adversarial-masks": "adversarial:AdversarialMasks",
    "discriminator-self-training": "adversarial:DiscriminatorSelfTraining",
    "adversarial-output": "adversarial:AdversarialOutput",
    "adversarial-entropy": "adversarial:AdversarialEntropy",
    "adversarial-features": "adversarial:AdversarialFeatures",
    "semantic-consistency": "semantic:SemanticConsistency",
    "contrastive-global": "contrastive:ContrastiveGlobal",
    "contrastive-local": "contrastive:ContrastiveLocal",
    "rotation": "pretext:Rotation",
    "jigsaw": "pretext:Jigsaw",
    "mutual-information": "pretext:MutualInformation",
}
"""Module and class of every kind of term."""


def build_terms(settings: Sequence[TermSettings], student: Student) -> list[Term]:
    """Make the terms of a training, in the order of their settings; a kind that comes again is named kind-2."""
    built: list[Term] = []
    for each in settings:
        module, class_name = TERMS[each.kind].split(":")
        term = getattr(import_module(f"histobridge.core.segment.terms.{module}"), class_name)(each, student)
        earlier = sum(other.kind == each.kind for other in settings[: len(built)])
        term.name = f"{each.kind}-{earlier + 1}" if earlier else each.kind
        built.append(term)
    return built
