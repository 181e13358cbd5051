"""The rules of the house that ruff cannot check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 50, 6
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PYTHON = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
TEXTS = [
    path for folder in (".ci", "benchmarks", "docs", "src", "tests") for path in sorted((ROOT / folder).rglob("*"))
]
TEXT_ENDINGS = {"", ".css", ".json", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"}
FORBIDDEN_NAMES = re.compile(r"(Manager|Handler|Helper)s?$")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|tmp|root|home|Users|opt)/\w")
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines of the body, the docstring aside."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: Function) -> int:
    named = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return len([argument for argument in named if argument.arg not in ("self", "cls")])


def public(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Functions of a module and methods of its classes whose names have no underscore in front."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = (inner for inner in node.body if isinstance(inner, Function))
            yield from ((f"{node.name}.{m.name}", m) for m in methods if not m.name.startswith("_"))


def documented(docstring: str) -> set[str]:
    """Names in the Parameters section of a numpydoc docstring."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", docstring, re.DOTALL | re.MULTILINE)
    heads = re.findall(r"^(\S.*?)(?: : .*)?$", found[1], re.MULTILINE) if found else []
    return {name.strip().lstrip("*") for head in heads for name in head.split(",")}


def trees(paths: list[Path]) -> Iterator[tuple[str, ast.Module]]:
    return ((name_of(path), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def test_files_are_short():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert not {name: lines for name, lines in lengths.items() if lines > FILE_LINES}


def test_functions_are_short():
    lengths = {f"{name} {f.name}": length(f) for name, tree in trees(PYTHON) for f in functions(tree)}
    assert not {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}


def test_functions_take_few_parameters():
    counts = {f"{name} {f.name}": parameters(f) for name, tree in trees(SOURCES) for f in functions(tree)}
    assert not {name: count for name, count in counts.items() if count > PARAMETERS}


def test_every_module_says_what_lives_there():
    assert not [name for name, tree in trees(SOURCES) if not ast.get_docstring(tree)]


def test_public_core_functions_are_documented():
    core = [path for path in SOURCES if "core" in path.parts]
    assert not [f"{name} {called}" for name, tree in trees(core) for called, f in public(tree) if undocumented(f)]


def undocumented(function: Function) -> bool:
    """Whether a docstring lacks; the members of a protocol, all dots, say it in the class."""
    return not ast.get_docstring(function) and ast.unparse(function.body[-1]) != "..."


def test_documented_parameters_are_those_of_the_function():
    wrong = {}
    for file, tree in trees(SOURCES):
        for name, function in public(tree):
            said = documented(ast.get_docstring(function) or "")
            if said and said != names_of_parameters(function):
                wrong[f"{file} {name}"] = sorted(said ^ names_of_parameters(function))
    assert not wrong


def names_of_parameters(function: Function) -> set[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in named if argument} - {"self", "cls"}


def test_nothing_prints_catches_everything_or_unpickles():
    assert not [f"{name}:{found}" for name, tree in trees(SOURCES) for found in map(offence, ast.walk(tree)) if found]


def offence(node: ast.AST) -> str:
    """Say what is wrong with a piece of code; empty if nothing is."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
        return f"{node.lineno}: print"
    if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception"):
        return f"{node.lineno}: catches everything"
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
        return f"{node.lineno}: pickle" if {"pickle", "dill", "cloudpickle"} & modules else ""
    if isinstance(node, ast.ClassDef) and FORBIDDEN_NAMES.search(node.name):
        return f"{node.lineno}: class {node.name} says nothing"
    return ""


def test_no_file_is_named_after_nothing():
    assert not [name_of(path) for path in SOURCES if path.stem in ("utils", "util", "helpers", "misc", "common")]


def test_nothing_is_left_unfinished_and_no_machine_is_named():
    found = []
    for path in (*TEXTS, *sorted(ROOT.glob("*.md")), ROOT / "pyproject.toml"):
        made = any(part == "__pycache__" or part.endswith("-work") for part in path.parts)
        if path.is_file() and path.suffix in TEXT_ENDINGS and not made:
            lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            bad = (number for number, line in lines if MACHINE_PATH.search(line) or UNFINISHED.search(line))
            found += [f"{name_of(path)}:{number}" for number in bad]
    assert not found


def test_every_test_file_has_a_name_of_its_own():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
