"""How long the window takes for what the hand does, in milliseconds: dab, commit, redraw, tile switch, event loop."""

import itertools
import time
from collections.abc import Callable

import numpy as np
import psutil

MOVE_PX, BRUSH_PX, DABS_A_STROKE = 12, 10, 20
TICK_MS, PAINT_MS = 10, 50


class Painter:
    """Moves the brush over a tile as the mouse does, one dab at a time."""

    def __init__(self, layer):
        self._layer, self._count = layer, 0
        layer.brush_size = BRUSH_PX
        layer.mode = "paint"
        self._place = np.array([200.0, 100.0])

    def dab(self) -> bool:
        """Paint one move; returns whether the stroke ends with it."""
        step = self._place + np.array([0, MOVE_PX])
        if step[1] > 900:
            step = np.array([200 + (self._place[0] - 200 + 17) % 600, 100.0])
            self._place = step
        last = self._count % DABS_A_STROKE == DABS_A_STROKE - 1
        with self._layer.block_history():
            self._layer._draw(1 + self._count // DABS_A_STROKE % 2, self._place, step)
        self._place, self._count = step, self._count + 1
        return last


def milliseconds(begun: float) -> float:
    return 1000 * (time.perf_counter() - begun)


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def open_image(viewer, window, name: str) -> float:
    """Open an image on the Review page, until it is drawn; one that is open already is left for another first."""
    from qtpy.QtTest import QTest

    last = window.session.remembered.place(window.session.project.path)
    if last.get("image") == name:
        window.go("review", domain="target", image=window.session.project.images("target")[0].id, tile="")
        QTest.qWait(1000)
    begun = time.perf_counter()
    window.go("review", domain="target", image=name, tile="")
    canvas_of(viewer).repaint()
    return milliseconds(begun)


def brush(viewer, window, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Measure dabs (the last of a stroke with its commit), commits alone, the redraw after each."""
    from qtpy.QtTest import QTest

    painter, desk = Painter(viewer.layers["labels"]), window.page("review").desk
    canvas = canvas_of(viewer)
    dabs, commits, redraws = [], [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not commits:
        begun = time.perf_counter()
        if painter.dab():
            drawn = time.perf_counter()
            desk.commit()
            commits.append(milliseconds(drawn))
        painted = time.perf_counter()
        canvas.repaint()
        dabs.append(1000 * (painted - begun))
        redraws.append(milliseconds(painted))
        QTest.qWait(TICK_MS)
    return dabs, commits, redraws


def switches(viewer, window, enough: Callable[[int], bool], rest_ms: int = TICK_MS) -> list[tuple[float, ...]]:
    """Open one tile of the image after the other, each painted on; until it is open, drawn, and complete.

    Saves the stroke, reads labels and proposal and draws them with the image below; complete is a tile when its outline
    and its neighbours are drawn too, which follow when the tile itself was drawn. After `rest_ms` on a tile one goes
    on; after half a second the rules have been checked and what breaks them is ringed.
    """
    from qtpy.QtTest import QTest

    from histobridge.widgets.desk import Place

    page, project = window.page("review"), window.session.project
    image = page.desk.place.image
    tiles = project.tiles(project.image(image))
    taken: list[tuple[float, ...]] = []
    if len(tiles) == 1:
        return taken
    way = itertools.cycle((*tiles, *reversed(tiles[1:-1])))
    page.open(Place(image, next(way)))
    completed: list[bool] = []
    viewer.layers["neighbours"].events.set_data.connect(lambda _: completed.append(True))
    while not enough(len(taken)):
        painter = Painter(viewer.layers["labels"])
        while not painter.dab():
            pass
        QTest.qWait(rest_ms)
        there = Place(image, next(way))
        completed.clear()
        begun = time.perf_counter()
        page.open(there)
        opened = milliseconds(begun)
        canvas_of(viewer).repaint()
        drawn = milliseconds(begun)
        while not completed:
            QTest.qWait(1)
        canvas_of(viewer).repaint()
        taken.append((opened, drawn, milliseconds(begun)))
        QTest.qWait(TICK_MS)
    return taken


def growth(viewer, window, first: int, count: int) -> float:
    """By how many MB (10^6 bytes) the process grows over `count` tile switches after the `first` ones."""
    process = psutil.Process()
    switches(viewer, window, lambda done: done >= first)
    before = process.memory_info().rss
    switches(viewer, window, lambda done: done >= count)
    return (process.memory_info().rss - before) / 1e6


def loop_delays(seconds: float, meanwhile=None) -> list[float]:
    """By how many milliseconds a 10 ms timer comes late."""
    from qtpy.QtCore import Qt, QTimer
    from qtpy.QtTest import QTest

    ticks: list[float] = []
    timer, other = QTimer(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(TICK_MS)
    if meanwhile is not None:
        other.timeout.connect(meanwhile)
        other.start(PAINT_MS)
    QTest.qWait(int(1000 * seconds))
    timer.stop()
    other.stop()
    return list(np.maximum(1000 * np.diff(ticks) - TICK_MS, 0))
