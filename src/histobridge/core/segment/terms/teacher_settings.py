"""Settings of terms with a teacher that is a running average of the student."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from histobridge.core.segment.terms.term_settings import Settings


class MeanTeacherSettings(Settings):
    """Agree with a teacher, the running average of the student, on images without labels (Tarvainen, Valpola 2017)."""

    kind: Literal["mean-teacher"] = "mean-teacher"
    """Which term."""

    threshold: float = Field(0.0, ge=0, lt=1)
    """Pixels of which the teacher is less sure are left out; 0: all count."""

    hard: bool = False
    """Learn the teacher's classes by cross-entropy instead of its probabilities by squared difference."""


class UncertaintyMeanTeacherSettings(Settings):
    """Agree with a teacher where several noisy looks of its own at the image leave it in little doubt (Yu 2019)."""

    kind: Literal["uncertainty-mean-teacher"] = "uncertainty-mean-teacher"
    """Which term."""

    passes: PositiveInt = 8
    """Noisy looks of the teacher a step; the term costs that many passes without gradient."""

    noise: NonNegativeFloat = 0.1
    """Standard deviation of the noise, cut off at twice that, on grey values in [-1, 1]."""
