"""What the window remembers between two starts: recent projects, and the place in each."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from histobridge.core.files import read_json, write_json

RECENT = 8


class Remembered:
    """A small JSON file in the user's config folder; losing it loses nothing of value."""

    def __init__(self, path: Path | None = None):
        self.path = path or user_config_path("histobridge") / "window.json"
        self._values: dict[str, Any] = {}
        self._written = True
        self._read()

    @property
    def recent(self) -> list[Path]:
        """Projects opened last, newest first; those that are gone are left out."""
        return [path for path in map(Path, self._values.get("recent", [])) if (path / "project.json").exists()]

    def opened(self, project: Path) -> None:
        """Put a project in front of the recent ones."""
        self._read()
        others = [str(path) for path in self.recent if path != project]
        self._values["recent"] = [str(project), *others][:RECENT]
        self._save()

    def place(self, project: Path) -> dict[str, Any]:
        """Where the user was in a project: page, domain, image, tile."""
        return dict(self._values.get("places", {}).get(str(project), {}))

    def stay(self, project: Path, **place: Any) -> None:
        """Remember a part of the place in a project."""
        if self.place(project) != self.place(project) | place:
            self._read()
            self._values.setdefault("places", {})[str(project)] = self.place(project) | place
            self._save()

    @property
    def keys(self) -> dict[str, str]:
        """Keys the user has changed, by what they do."""
        return {str(action): str(key) for action, key in dict(self._values.get("keys", {})).items()}

    def keep_keys(self, keys: dict[str, str]) -> None:
        """Remember the changed keys."""
        self._read()
        self._values["keys"] = keys
        self._save()

    def _read(self) -> None:
        """Take what other windows have written since, unless what this one knows could not be written."""
        if not self._written:
            return
        with suppress(OSError, ValueError):
            values = read_json(self.path)
            self._values = values if isinstance(values, dict) else {}

    def _save(self) -> None:
        self._written = False
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self._values, durable=False)
            self._written = True
