"""What fine-tuning hands on, for tests to look at."""

import pytest

from histobridge.core.segment import practice
from histobridge.core.segment.crops import CropSampler


@pytest.fixture
def taught(monkeypatch):
    """What fine-tuning hands to its samplers: first the fields of the target, then those of the source."""
    handed = []

    class Listening(CropSampler):
        def __init__(self, fields, *rest, **named):
            handed.append(fields)
            super().__init__(fields, *rest, **named)

    monkeypatch.setattr(practice, "CropSampler", Listening)
    return handed
