import pytest
from bright_discs import Threshold, discs, drawn

from histobridge.core.segment.model import ModelCard, Segmenter
from histobridge.core.translate.base import look_of
from histobridge.core.translate.instant import Instant
from histobridge.core.translate.quality.panel import Panel, Shown, panel_of_fields


@pytest.fixture(scope="module")
def panel():
    labels = [discs(*offset) for offset in ((0, 0), (4, -3))]
    source = [Shown(image := drawn(one, seed), look_of(image), one) for seed, one in enumerate(labels)]
    target = [Shown(image := drawn(discs(-4, 4), 5, 1.0), look_of(image))]
    instant = Instant(False, source[0].look, target[0].look)
    card = ModelCard(
        preset="tiny",
        classes=("disc",),
        values=(1,),
        domain="source",
        working_um=1,
        object_diameter_px=24,
        quantiles=tuple(map(float, source[0].look)),
        trained_on=(),
    )
    return Panel(source, target, instant, Segmenter(Threshold(), card))


@pytest.fixture(scope="module")
def unjudged(panel):
    """The panel without a segmenter, which says nothing of tiles."""
    fields = [[shown.image for shown in side] for side in (panel.source, panel.target)]
    return panel_of_fields(*fields, panel.instant)
