"""Options of a verb, made from the config of its job: one place for default, bound and meaning."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from histobridge.core.base_config import described
from histobridge.core.config import Config
from histobridge.core.errors import InputError

RESERVED = frozenset({"config", "engine", "help", "json", "project", "scheduler"})


def leaves(config: type[Config], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo, str]]:
    """All fields of a config with their place and what they are for, those of configs inside it too."""
    for name, field in config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from leaves(field.annotation, (*prefix, name))
        else:
            yield (*prefix, name), field, described(config).get(name, "")


def add_options(parser: argparse.ArgumentParser, config: type[Config], positional: str = "") -> None:
    """Give `parser` one option per field; ``--training.steps`` is also ``--steps`` where only one field is named so."""
    found = list(leaves(config))
    same_name = Counter(place[-1] for place, *_ in found)
    for place, field, meaning in found:
        names = ["--" + ".".join(place).replace("_", "-")]
        if len(place) > 1 and same_name[place[-1]] == 1 and place[-1] not in RESERVED:
            names.append("--" + place[-1].replace("_", "-"))
        keywords = _keywords(field)
        if place == (positional,):
            parser.add_argument(positional, nargs="*", metavar=positional[:-1].upper(), default=argparse.SUPPRESS)
        text = _help(field, meaning)
        parser.add_argument(*names, dest=".".join(place), default=argparse.SUPPRESS, help=text, **keywords)


def _keywords(field: FieldInfo) -> dict[str, Any]:
    """What argparse needs for a type; values stay text, for pydantic to check with the bounds."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    origin = get_origin(field.annotation)
    if field.annotation is bool:
        return {"action": argparse.BooleanOptionalAction}
    if origin is Literal:
        return {"choices": [kind for kind in kinds if kind != ""]}
    if origin is tuple and not _is_plain(kinds[0]):
        return {"nargs": "*", "type": _settings, "metavar": "KIND|JSON"}
    if origin is tuple:
        choices = get_args(kinds[0]) if get_origin(kinds[0]) is Literal else None
        return {"nargs": "*", "choices": choices, "metavar": None if choices else _metavar(kinds[0])}
    if origin is dict:
        return {"nargs": "*", "type": _pair, "metavar": "KEY=VALUE"}
    return {"metavar": _metavar(kinds[0])}


def _is_plain(kind: Any) -> bool:
    """Whether a value is one word on the command line, and no config with fields of its own."""
    parts = get_args(kind) if get_origin(kind) in (Annotated, Union, UnionType) else (kind,)
    return not any(
        isinstance(part, type) and issubclass(part, Config) for one in parts for part in (one, *get_args(one))
    )


def _settings(text: str) -> dict[str, Any]:
    """Read a config among several kinds: its kind alone, or JSON with its fields."""
    if not text.lstrip().startswith("{"):
        return {"kind": text}
    try:
        values: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not JSON ({error}); such as \'{{"kind": "entropy"}}\'') from None
    return values


def _metavar(kind: Any) -> str:
    """Word for a value in the help."""
    base = (get_args(kind) or (kind,))[0]
    return {int: "N", float: "X", Path: "PATH"}.get(base, "TEXT")


def _pair(text: str) -> tuple[str, str]:
    """Split ``key=value``."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as 127=1")
    return key, value


def _help(field: FieldInfo, meaning: str) -> str:
    """What a field is for, and its default."""
    text = " ".join(meaning.split())
    default = field.get_default(call_default_factory=True, validated_data={})
    if default not in (None, "", (), {}, Path()) and not isinstance(default, bool):
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        text += f" Default: {shown:.4g}." if isinstance(shown, float) else f" Default: {shown}."
    return text.replace("%", "%%")


def given(namespace: argparse.Namespace, config: type[Config], file: str = "") -> dict[str, Any]:
    """Values for a config: those of the file named by ``--config``, overridden by the options that were given."""
    values = _read(Path(file)) if file else {}
    options = vars(namespace)
    for place, field, _ in leaves(config):
        key = ".".join(place)
        if key not in options:
            continue
        inner = values
        for name in place[:-1]:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise InputError(f"--config {file}: {name} holds {inner!r}, expected an object of field names")
        inner[place[-1]] = dict(options[key]) if get_origin(field.annotation) is dict else options[key]
    return values


def _read(path: Path) -> dict[str, Any]:
    """Read a config file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--config {path}: {error.strerror}; name a JSON file") from error
    except ValueError as error:
        raise InputError(f"--config {path} is not JSON ({error}); see `config` in any runs/<id>/run.json") from error
    if not isinstance(values, dict):
        raise InputError(f"--config {path} holds a {type(values).__name__}, expected an object of field names")
    return values


def absolute_paths(config: Config) -> Config:
    """Make every path that was given absolute, since a worker process has another working folder.

    One that is what its field begins with was not given: a saved config holds it all the same.
    """
    fields = type(config).model_fields
    given = {
        name: value
        for name, value in config.model_dump(exclude_unset=True).items()
        if not (isinstance(value, Path) and value == fields[name].default)
    }
    return type(config).model_validate(_absolute(given))


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return value if ":/" in str(value) else value.expanduser().absolute()
    if isinstance(value, dict):
        return {key: _absolute(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    return value
