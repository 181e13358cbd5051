"""Settings of every term, readable without torch."""

from typing import Annotated

from pydantic import Field

from histobridge.core.segment.terms.teacher_settings import MeanTeacherSettings

TermSettings = Annotated[MeanTeacherSettings, Field(discriminator="kind")]
"""Whichever term; its `kind` says which."""
