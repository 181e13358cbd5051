"""A picture of every page and state from the real window, and `docs/screens.md`, which shows them.

    python benchmarks/screenshots.py
    python benchmarks/screenshots.py --out pictures --theme light --scale 2

napari at 1366 x 768 with the dock, driven by mouse and keys, on the synthetic project of `sample_states.py`. Where
there is no display, ``xvfb-run`` makes one. Only the dark theme at 100 % is kept in the repository.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT = 1366, 768
COLORS = 120
VIVID, WEIGHT = 60, 150
SETTLED_MS = 500
CALM, MOST_ROUNDS = 4, 60
HOME = ("CONFIG", "STATE", "DATA", "CACHE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DOCS / "images" / "pages")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--scale", type=int, choices=(1, 2), default=1, help="2: as on a screen set to 200 %%")
    arguments = parser.parse_args()
    show_somewhere(arguments.scale)
    with tempfile.TemporaryDirectory(prefix="histobridge-") as home:
        for name in HOME:
            os.environ[f"XDG_{name}_HOME"] = str(Path(home) / name.lower())
        os.environ["QT_SCALE_FACTOR"] = str(arguments.scale)
        stage = Stage(arguments.out, arguments.theme)
        from screen_scenes import play

        play(stage, Path(home) / "projects")
        stage.end()
    if arguments.out == DOCS / "images" / "pages":
        write_page(stage.told)
        for old in set(arguments.out.glob("*.png")) - {arguments.out / name for name, _ in stage.told}:
            old.unlink()


def show_somewhere(scale: int) -> None:
    """Start over with a display of its own where there is none."""
    if "DISPLAY" not in os.environ:
        xvfb = shutil.which("xvfb-run")
        if xvfb is None:
            sys.exit("There is no display. Install xvfb, or run this on a desktop.")
        screen = f"-screen 0 {WIDTH * scale}x{HEIGHT * scale}x24"
        os.execv(xvfb, [xvfb, "-a", "-s", screen, sys.executable, *sys.argv])


class Stage:
    """The real window, and a camera.

    Parameters
    ----------
    out : Path
        Folder of the pictures; made if it is not there.
    theme : {"dark", "light"}
    """

    def __init__(self, out: Path, theme: str):
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "end_to_end"))
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "widgets"))
        import napari
        from napari.settings import get_settings
        from window_fakes import FakeEngine

        from histobridge.widgets.main import HistoBridge

        get_settings().appearance.theme = theme
        get_settings().application.save_window_geometry = False
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.engine = out, FakeEngine()
        self.told: list[tuple[str, str]] = []
        self.viewer = napari.Viewer()
        self.main = self.viewer.window._qt_window
        self.main.setGeometry(0, 0, WIDTH, HEIGHT)
        self.window = HistoBridge(self.viewer, self.engine)
        self.viewer.window.add_dock_widget(self.window, name="HistoBridge", area="right", add_vertical_stretch=False)
        self.main.setGeometry(0, 0, WIDTH, HEIGHT)

    def wait(self, milliseconds: int = SETTLED_MS) -> None:
        """Let the window come to rest: until its events are handled as they come."""
        from qtpy.QtTest import QTest

        QTest.qWait(milliseconds)
        calm, rounds = 0, 0
        while calm < CALM and rounds < MOST_ROUNDS:
            began = time.perf_counter()
            QTest.qWait(20)
            calm = calm + 1 if time.perf_counter() - began < 0.06 else 0
            rounds += 1

    def picture(self):
        """What the screen shows once the window has come to rest, dialogs and all."""
        from PIL import Image
        from qtpy.QtGui import QImage
        from qtpy.QtWidgets import QApplication

        self.wait()
        taken = QApplication.primaryScreen().grabWindow(0, 0, 0, WIDTH, HEIGHT).toImage()
        taken = taken.convertToFormat(QImage.Format.Format_RGBX8888)
        size, pixels = (taken.width(), taken.height()), taken.constBits().asstring(taken.sizeInBytes())
        return Image.frombytes("RGBX", size, pixels, "raw", "RGBX", taken.bytesPerLine()).convert("RGB")

    def shot(self, name: str, says: str) -> None:
        """Take a picture."""
        path = self.out / f"{len(self.told) + 1:02d}-{name}.png"
        small(self.picture(), COLORS).save(path, optimize=True)
        self.told.append((path.name, says))

    def scroll(self, to: float) -> None:
        """Scroll the page, from 0 (top) to 1."""
        bar = self.window.scroll.verticalScrollBar()
        bar.setValue(round(to * bar.maximum()))

    def end(self) -> None:
        """Close the window, as a user would."""
        self.window.session.close_project()
        self.viewer.close()


def small(picture, colors: int):
    """Reduce an RGB picture to a palette in which colours that are rare but vivid keep their place."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(picture).reshape(-1, 3)
    found, counts = np.unique(pixels // 8 * 8, axis=0, return_counts=True)
    vivid = found[(np.ptp(found.astype(int), axis=1) > VIVID) & (counts > 20)]
    sample = np.concatenate([pixels[::5], np.repeat(vivid, WEIGHT, axis=0)])
    palette = Image.fromarray(sample[None]).quantize(colors, kmeans=2)
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def write_page(told: list[tuple[str, str]]) -> None:
    """Write the page that shows the pictures."""
    head = (
        "# Screens\n\nThe pages of the window, in most of their states, at 1366 x 768, as "
        "`python benchmarks/screenshots.py` takes them. The images\nare synthetic, and no model "
        "was trained for them: the scores are made up.\n"
    )
    parts = [f"\n{says}\n\n![{says}](images/pages/{name})\n" for name, says in told]
    (DOCS / "screens.md").write_text(head + "".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
