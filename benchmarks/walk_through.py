"""Frames of correcting one real SEM tile with keys and mouse, for `docs/walk-through.md`.

    python benchmarks/walk_through.py PROJECT --tile rat3_data9 --out docs/images/walk-through

PROJECT is a copy of a project with proposals for the SEM images of rats named on the page; it is corrected and so
changed. The places are those of one trained model. Where another one proposes otherwise, a tool says so in the frame.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from screenshots import DOCS, HOME, Stage, show_somewhere, small

ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
COLORS = 96
NEAR = 2.2
"""Screen pixels per image pixel after the wheel."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--tile", default="rat3_data9", help="image; its first tile is corrected")
    parser.add_argument("--out", type=Path, default=DOCS / "images" / "walk-through")
    arguments = parser.parse_args()
    show_somewhere(1)
    with tempfile.TemporaryDirectory() as home:
        for name in HOME:
            os.environ[f"XDG_{name}_HOME"] = str(Path(home) / name.lower())
        stage = Stage(arguments.out, "dark")
        correct(Walk(stage, arguments.project, arguments.tile))
        stage.end()


class Walk:
    """Keys and mouse over pixels of the tile.

    Parameters
    ----------
    stage : Stage
    project : Path
    image : str
    """

    def __init__(self, stage: Stage, project: Path, image: str):
        self.stage, self.viewer, self.at = stage, stage.viewer, (0, 0)
        self.taken = 0
        stage.window.open_project(project)
        stage.window.go("review", domain="target", image=image, tile="r000c000")
        self.page = stage.window.page("review")

    def near(self, row: int, column: int) -> None:
        """Zoom in on a pixel, as by the wheel."""
        labels = self.viewer.layers["labels"]
        self.viewer.scene.camera.center = (0, *labels.data_to_world((row, column)))
        self.viewer.scene.camera.zoom = NEAR / labels.scale[0]
        self.stage.wait()

    def over(self, row: int, column: int) -> None:
        """Bring the mouse over a pixel."""
        from hands import FREE, mouse, point
        from qtpy.QtCore import QEvent

        self.at = (row, column)
        place = point(self.viewer, self.viewer.layers["labels"], row, column)
        mouse(self.viewer, QEvent.Type.MouseMove, place, FREE)
        self.viewer.mouse_over_canvas = True  # what the pointer of a desktop would tell; there is none on this screen

    def use(self, key: str, row: int, column: int) -> None:
        """Press a key over a pixel."""
        from hands import press
        from qtpy.QtCore import Qt

        self.over(row, column)
        press(self.viewer, getattr(Qt.Key, f"Key_{key}"))
        self.stage.wait()
        sys.stdout.write(f"{key} {self.at}: {self.page.tools.says.text()}{self.page.tools.trouble.text()}\n")

    def draw(self, path: list[tuple[int, int]]) -> None:
        """Draw with the button held through pixels of the tile."""
        from hands import FREE, HELD, mouse, point
        from qtpy.QtCore import QEvent

        labels = self.viewer.layers["labels"]
        places = [point(self.viewer, labels, *at) for at in path]
        mouse(self.viewer, QEvent.Type.MouseMove, places[0], FREE)
        mouse(self.viewer, QEvent.Type.MouseButtonPress, places[0], HELD)
        for place in places:
            mouse(self.viewer, QEvent.Type.MouseMove, place, HELD)
        mouse(self.viewer, QEvent.Type.MouseButtonRelease, places[-1], FREE)
        self.at = path[-1]
        self.stage.wait()

    def shot(self, name: str, *, pointer: bool = True) -> None:
        """Take a frame and draw the mouse, which the screen does not show, into it."""
        from hands import canvas_of, point
        from PIL import ImageDraw

        self.stage.scroll(0.5)
        self.taken += 1
        frame = self.stage.picture()
        path = self.stage.out / f"{self.taken:02d}-{name}.png"
        if pointer:
            place = canvas_of(self.viewer).mapToGlobal(point(self.viewer, self.viewer.layers["labels"], *self.at))
            arrow = [(place.x() + x, place.y() + y) for x, y in ARROW]
            ImageDraw.Draw(frame).polygon(arrow, fill="white", outline="black")
        small(frame, COLORS).save(path, optimize=True)


def correct(walk: Walk) -> None:
    """Correct some of the faults of the tile, one of each kind, and accept it."""
    from hands import canvas_of, press
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    walk.stage.wait(1500)
    walk.shot("proposal", pointer=False)
    walk.near(130, 560)
    walk.over(50, 611)
    walk.use("D", 50, 611)
    walk.use("D", 45, 540)
    walk.shot("deleted")
    walk.viewer.mouse_over_canvas = False
    press(walk.viewer, Qt.Key.Key_C)
    walk.draw([(167, column) for column in range(468, 513, 4)])
    walk.shot("cut")
    press(walk.viewer, Qt.Key.Key_Escape)
    walk.near(430, 360)
    walk.use("F", 367, 338)
    walk.shot("filled")
    walk.use("R", 570, 363)
    walk.use("F", 570, 363)
    walk.shot("closed")
    QTest.keyPress(canvas_of(walk.viewer), Qt.Key.Key_E)
    walk.draw([(378 + step, 358 + step // 2) for step in range(0, 24, 2)])
    QTest.keyRelease(canvas_of(walk.viewer), Qt.Key.Key_E)
    walk.stage.wait()
    walk.shot("erased")
    press(walk.viewer, Qt.Key.Key_A)
    walk.stage.wait(1500)
    walk.shot("accepted", pointer=False)


if __name__ == "__main__":
    main()
