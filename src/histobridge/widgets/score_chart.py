"""The held-out score of every model as a small chart, drawn with QPainter."""

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from histobridge.widgets.curves import clear_on
from histobridge.widgets.models import Model

HELD_OUT, IN_USE, FAINT = QColor("#56B4E9"), QColor("#E69F00"), QColor("#8b9098")
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 42, 22
RADIUS = 5
WIDEST = 90
LABELLED = 8
NEAR_PX = 14


def told(model: Model) -> str:
    """Say the score of a model in words."""
    if model.score is None:
        return f"{model.name}: no score yet"
    tiles = "1 tile" if model.tiles == 1 else f"{model.tiles} tiles"
    how = f"too few to judge, estimated in turn on {tiles}" if model.estimated else f"on {tiles} never learned from"
    before = f", before {model.before:.2f}" if model.before is not None else ""
    return f"{model.name}: mean Dice {model.score:.2f}{before}; {how}{'; in use' if model.in_use else ''}"


class ScoreChart(QWidget):
    """One mark a model, the oldest on the left: filled where tiles were held out, hollow where they are too few.

    A short line shows the model it was compared with, on the same tiles; a ring, which model is in use.
    """

    chosen = Signal(str)
    """Run of the model that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._models: list[Model] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        """Wide and flat."""
        return QSize(300, 150)

    def show_models(self, models: Sequence[Model]) -> None:
        """Draw the models that have a score."""
        self._models = [model for model in models if model.score is not None]
        self.setAccessibleName("Held-out score of every model")
        self.setAccessibleDescription(". ".join(map(told, self._models)))
        self.update()

    # -- places ----------------------------------------------------------------------------------------------------

    def _range(self) -> tuple[float, float]:
        """Scores at the lower and the upper end of the axis, on round numbers."""
        values = [value for model in self._models for value in (model.score, model.before) if value is not None]
        low, high = min(values) - 0.02, max(values) + 0.02
        return max(0.0, int(low * 20) / 20), min(1.0, (int(high * 20) + 1) / 20)

    def _x(self, index: int) -> float:
        apart = min(WIDEST, (self.width() - LEFT - RIGHT) / max(1, len(self._models)))
        return LEFT + apart * (index + 0.5)

    def _y(self, score: float) -> float:
        low, high = self._range()
        return TOP + (self.height() - TOP - BOTTOM) * (high - score) / (high - low)

    def point(self, run_id: str) -> QPointF:
        """Where the mark of a model lies."""
        index = next(index for index, model in enumerate(self._models) if model.run.id == run_id)
        return QPointF(self._x(index), self._y(self._models[index].score or 0.0))

    def _near(self, place: QPointF) -> Model | None:
        """Return the model in whose column the mouse is."""
        columns = [(abs(self._x(index) - place.x()), index) for index in range(len(self._models))]
        distance, index = min(columns, default=(NEAR_PX + 1.0, 0))
        return self._models[index] if distance <= NEAR_PX else None

    # -- events ----------------------------------------------------------------------------------------------------

    def event(self, event: QEvent | None) -> bool:
        """Tell what lies under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            model = self._near(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), told(model) if model else "", self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Choose the model under the mouse."""
        model = self._near(event.position()) if event is not None else None
        if model is not None:
            self.chosen.emit(model.run.id)

    # -- paint -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw legend, axis and marks."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(self.foregroundRole())
        painter.setPen(ink)
        if not self._models:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No scores yet: fine-tune first.")
            return
        self._legend(painter, ink)
        self._axis(painter, ink)
        for index, model in enumerate(self._models):
            self._mark(painter, ink, index, model)

    def _legend(self, painter: QPainter, ink: QColor) -> None:
        entries = ((False, False, "held out"), (True, False, "too few to judge"), (False, True, "in use"))
        x = 10.0
        for hollow, ring, text in entries:
            _dot(painter, QPointF(x, 12), ink, hollow=hollow, ring=ring)
            painter.setPen(ink)
            painter.drawText(QPointF(x + 11, 16), text)
            x += painter.fontMetrics().horizontalAdvance(text) + 28
        text, right = "before, on the same tiles", self.width() - RIGHT
        left = right - painter.fontMetrics().horizontalAdvance(text)
        painter.drawText(QPointF(left, TOP - 9), text)
        painter.setPen(QPen(clear_on(ink, FAINT), 2))
        painter.drawLine(QPointF(left - 16, TOP - 13), QPointF(left - 6, TOP - 13))
        painter.setPen(ink)

    def _axis(self, painter: QPainter, ink: QColor) -> None:
        low, high = self._range()
        bottom = self.height() - BOTTOM
        painter.drawText(QPointF(4, TOP - 9), "Dice")
        for value in (low, (low + high) / 2, high):
            painter.setPen(QPen(clear_on(ink, FAINT), 0.5, Qt.PenStyle.DotLine))
            y = self._y(value)
            painter.drawLine(QPointF(LEFT, y), QPointF(self.width() - RIGHT, y))
            painter.setPen(ink)
            painter.drawText(QRectF(0, y - 8, LEFT - 6, 16), Qt.AlignmentFlag.AlignRight, f"{value:.2f}")
        painter.setPen(QPen(ink, 1))
        painter.drawLine(QPointF(LEFT, bottom), QPointF(self.width() - RIGHT, bottom))

    def _mark(self, painter: QPainter, ink: QColor, index: int, model: Model) -> None:
        x, place = self._x(index), QPointF(self._x(index), self._y(model.score or 0.0))
        if model.before is not None:
            before = self._y(model.before)
            style = Qt.PenStyle.DotLine if model.estimated else Qt.PenStyle.SolidLine
            painter.setPen(QPen(clear_on(ink, FAINT), 1.5, style))
            painter.drawLine(QPointF(x, before), place)
            painter.setPen(QPen(clear_on(ink, FAINT), 2))
            painter.drawLine(QPointF(x - RADIUS, before), QPointF(x + RADIUS, before))
        _dot(painter, place, ink, hollow=model.estimated, ring=model.in_use)
        painter.setPen(ink)
        every = -(-len(self._models) // LABELLED)
        if (len(self._models) - 1 - index) % every == 0:
            self._name(painter, index, model)

    def _name(self, painter: QPainter, index: int, model: Model) -> None:
        """Write the name below; where it does not fit, a fine-tuned model has its number."""
        width = max(self._x(1) - self._x(0), 24.0)
        fits = painter.fontMetrics().horizontalAdvance(model.name) <= width
        text = model.name if fits else model.name.removeprefix("fine-tuned ")
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(width))
        below = QRectF(self._x(index) - width / 2, self.height() - BOTTOM + 3, width, 18)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, shown)


def _dot(painter: QPainter, place: QPointF, ink: QColor, *, hollow: bool, ring: bool) -> None:
    """Draw one mark."""
    color = clear_on(ink, HELD_OUT)
    painter.setPen(QPen(color, 2))
    painter.setBrush(Qt.BrushStyle.NoBrush if hollow else color)
    painter.drawEllipse(place, RADIUS - 1, RADIUS - 1)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if ring:
        painter.setPen(QPen(clear_on(ink, IN_USE), 2))
        painter.drawEllipse(place, RADIUS + 4, RADIUS + 4)
