"""Buttons, keys and clicks of the tools: press a key over the place, or arm a tool and click; Esc leaves it."""

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from histobridge.core.errors import HistoBridgeError
from histobridge.core.tools.result import ToolError
from histobridge.layers import Canvas
from histobridge.pointer import Path
from histobridge.widgets.key_table import BY_ACTION
from histobridge.widgets.page import CHOSEN_STYLE, ERROR_STYLE, Lines, Note
from histobridge.widgets.session import words
from histobridge.widgets.tool_bench import TOOLS, Tool, ToolBench

COLUMNS = 4
REMEDY = {"fill": "Close it first."}
IDLE = "Point at a place and press a key, or choose a tool and click."


class ToolBox(QWidget):
    """What a tool did, or why it could not, is said here.

    Parameters
    ----------
    canvas : Canvas
    bench : ToolBench
    changed : callable
        Called after every edit.
    """

    def __init__(self, canvas: Canvas, bench: ToolBench, changed: Callable[[], object]):
        super().__init__()
        self._canvas, self._bench, self._changed = canvas, bench, changed
        self._armed: Tool | None = None
        self._nested = True
        self.buttons: dict[str, QPushButton] = {}
        self._grid = QGridLayout()
        self._grid.setSpacing(3)
        for tool in TOOLS:
            made = QPushButton(tool.text)
            made.setCheckable(True)
            made.setStyleSheet(CHOSEN_STYLE)
            made.setToolTip(f"{BY_ACTION[tool.action].words.capitalize()}. {tool.ask}")
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the canvas
            made.clicked.connect(lambda _=False, tool=tool: self.choose(tool))
            self.buttons[tool.action] = made
        self.says = Lines(2)
        self.trouble = Note(style=ERROR_STYLE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._grid)
        layout.addWidget(self.says)
        layout.addWidget(self.trouble)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._bring_up)
        self._lay_out()
        self._say(IDLE)

    # -- show ------------------------------------------------------------------------------------------------------

    def refresh(self, *, nested: bool, enabled: bool) -> None:
        """Show the tools that this class set has; a class within a class is needed for some."""
        if nested != self._nested:
            self._nested = nested
            self._lay_out()
        if not enabled:
            self.leave()
        for made in self.buttons.values():
            made.setEnabled(enabled)

    def _lay_out(self) -> None:
        """Put the tools that there are side by side, without gaps."""
        for made in self.buttons.values():
            self._grid.removeWidget(made)
            made.hide()
        offered = [tool for tool in TOOLS if self.offers(tool)]
        for index, tool in enumerate(offered):
            made = self.buttons[tool.action]
            self._grid.addWidget(made, index // COLUMNS, index % COLUMNS)
            made.show()

    def offers(self, tool: Tool) -> bool:
        """Whether a tool makes sense for the classes of the project."""
        return self._nested or not tool.nested

    def _say(self, text: str = "", trouble: str = "") -> None:
        self.says.setText(text)
        self.says.setVisible(not trouble)  # one takes the place of the other
        self.trouble.say(trouble)
        if trouble:
            self._soon.start(0)
        for tool in TOOLS:
            self.buttons[tool.action].setChecked(tool is self._armed)

    def _bring_up(self) -> None:
        """Scroll until all of the trouble is seen, on a small screen."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if isinstance(above, QScrollArea) and self.trouble.isVisible():
            above.ensureWidgetVisible(self.trouble, 0, 4)

    # -- use -------------------------------------------------------------------------------------------------------

    def presses(self) -> dict[str, Callable[[], object]]:
        """What the keys of the tools do."""
        return {tool.action: partial(self.press, tool) for tool in TOOLS} | {"leave": self.leave}

    def press(self, tool: Tool) -> None:
        """Use a tool where the mouse is; if that takes more than a place, or the mouse is elsewhere, arm it."""
        labels = self._canvas.labels
        if labels is None or not self.offers(tool) or not self.buttons[tool.action].isEnabled():
            return
        at = self._canvas.pointer.hover(labels) if tool.gesture == "point" else None
        if at is None:
            self.choose(tool)
        else:
            self.leave()
            self._use(tool, [(float(at[0]), float(at[1]))])

    def choose(self, tool: Tool) -> None:
        """Arm a tool for clicks on the canvas, or leave it if it is armed."""
        labels, again = self._canvas.labels, tool is self._armed
        self.leave()
        if labels is None or again or not labels.editable:
            return
        if self._canvas.flip.hides_labels:
            self._say(trouble="These are labels of another model. Flip back to yours first.")
            return
        self._canvas.pointer.arm(labels, tool.gesture, partial(self._use, tool), self._moved, self._lost)
        self._armed = tool
        self._say(f"{tool.ask} Esc leaves the tool.")

    def leave(self) -> None:
        """Give the mouse back to the brush and take previews away."""
        self._canvas.pointer.disarm()
        self._lost()

    def _lost(self) -> None:
        self._armed = None
        self._canvas.overlays.end_preview()
        self._say(IDLE)

    def _moved(self, path: Path) -> None:
        """Draw what has been drawn so far, or the first of two clicks."""
        labels = self._canvas.labels
        if labels is not None:
            self._canvas.overlays.draw_line(labels, path[max(0, len(path) - 2)], path[-1])
        if self._armed is not None and self._armed.gesture == "two":
            self._say(f"{self._armed.ask} Now the second.")

    def _use(self, tool: Tool, path: Path) -> None:
        """Run the tool and say what came of it."""
        self._canvas.overlays.end_preview()
        try:
            result = self._bench.use(tool, path)
        except ToolError as error:
            self._say(trouble=str(error))
            return
        except (HistoBridgeError, OSError) as error:
            self._say(trouble=f"Nothing was changed: {words(error)}")
            return
        if result is not None and result.leak is not None and self._canvas.labels is not None:
            self._canvas.overlays.preview(self._canvas.labels, result.leak)
            self._say(trouble=f"Nothing was changed: {result.message} {REMEDY.get(tool.action, '')}".strip())
            return
        said = result.message if result is not None else "This object is accepted."
        self._say(said or f"{tool.text}: done.")
        self._changed()
