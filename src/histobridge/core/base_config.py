"""What all configs share."""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Domain = Literal["source", "target"]
Direction = Literal["source_to_target", "target_to_source"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Of random numbers; torch takes no larger one."""


class Config(BaseModel):
    """Base of all configs: immutable, strict about names, saved as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@cache
def described(config: type[BaseModel]) -> dict[str, str]:
    """Say what fields of a config are for: the docstring below each, by name.

    Read when it is asked for: pydantic would read them all while modules load, half a second before the dock opens.
    """
    found: dict[str, str] = {}
    for each in reversed(config.__mro__):
        if not issubclass(each, BaseModel) or each.__module__.startswith("pydantic"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                    found[name] = inspect.cleandoc(words)
    return found
