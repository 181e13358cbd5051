"""Parse the command line, call the verb, turn what happened into an exit code."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from histobridge import __version__
from histobridge.cli.output import BAD_INPUT, FAILED, STOPPED, Outcome, show
from histobridge.core.errors import HistoBridgeError, InputError, ProjectError
from histobridge.core.waiting import yield_while_waiting

EPILOG = """\
Start with `histobridge demo`, or `histobridge new PROJECT`; `histobridge VERB --help` lists the options of a verb.

exit codes: 0 done; 1 failed; 2 wrong input or usage; 3 partly done (some files were refused); 130 stopped
"""


@dataclass(frozen=True)
class Verb:
    """One verb: the module that holds it, its function and its line in the overview.

    The module is named, not imported, so that the overview costs nothing. It has the functions ``<function>`` and
    ``<function>_options``.
    """

    module: str
    function: str
    summary: str


VERBS: dict[str, Verb] = {
    "new": Verb("project", "new", "make a project folder"),
    "add": Verb("jobs", "start", "add images, with their masks if there are any"),
    "train-segmenter": Verb("jobs", "start", "learn the labels of the source"),
    "match": Verb("jobs", "start", "bring both domains to one scale, one polarity and the same grey values"),
    "train-translator": Verb("jobs", "start", "learn to give images of one domain the look of the other"),
    "import-translator": Verb("jobs", "start", "take over generators that were trained elsewhere"),
    "translate-image": Verb("jobs", "start", "keep what a trained translator makes of an image"),
    "propose": Verb("jobs", "start", "propose labels for target images"),
    "rank": Verb("jobs", "start", "order the tiles for review, with reasons, and tell when to stop"),
    "finetune": Verb("jobs", "start", "fine-tune the segmenter on what has been reviewed"),
    "export": Verb("jobs", "start", "write masks where other programs read them"),
    "promote": Verb("promotion", "promote", "choose the run that is used from now on"),
    "rollback": Verb("promotion", "rollback", "use the fine-tuned model again that was used before"),
    "score": Verb("score", "score", "measure how well label maps agree with the truth"),
    "effort": Verb("review", "effort", "show and export what reviewing has cost, tile by tile"),
    "agreement": Verb("review", "agreement", "tell how far answers for tiles agree that were shown again"),
    "set": Verb("project", "set_fields", "change what is known of images: pixel size, subject, section"),
    "bring-back": Verb("unsaved", "restore", "add edits that had to be saved elsewhere to their labels"),
    "status": Verb("project", "status", "show images, labels and runs of a project"),
    "resume": Verb("jobs", "resume", "go on with a run that was stopped or died"),
    "cancel": Verb("jobs", "cancel", "stop a run, wherever it runs"),
    "doctor": Verb("doctor", "doctor", "check what this machine has and lacks"),
    "demo": Verb("demo", "demo", "run the whole loop on a small sample"),
}


class UsageError(InputError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that wrong usage too can be told as JSON."""

    def error(self, message: str) -> NoReturn:
        """Raise with where to read on."""
        raise UsageError(f"{message}; see: {self.prog} --help")


def overview() -> Parser:
    """Parser of everything before the verb."""
    parser = Parser(
        prog="histobridge",
        description="Carry labels from one microscopy modality to another.",
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=30),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"histobridge {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name, verb in VERBS.items():
        verbs.add_parser(name, help=verb.summary)
    return parser


def parser_of(name: str, verb: Verb) -> Parser:
    """Parser of one verb."""
    description = verb.summary[0].upper() + verb.summary[1:] + "."
    parser = Parser(prog=f"histobridge {name}", description=description, allow_abbrev=False)
    getattr(import_module(f"histobridge.cli.{verb.module}"), f"{verb.function}_options")(parser, name)
    parser.add_argument("--json", action="store_true", help="Write one JSON object to stdout; progress goes to stderr.")
    parser.set_defaults(verb=name)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    yield_while_waiting()
    try:
        outcome = _run(words)
    except (InputError, ProjectError) as error:
        outcome = _failure(words, error, BAD_INPUT)
    except HistoBridgeError as error:
        outcome = _failure(words, error, FAILED)
    except OSError as error:
        from histobridge.core.disk import why

        place = f"{error.filename}: " if error.filename else ""
        outcome = _failure(words, ProjectError(place + why(error)), BAD_INPUT)
    except KeyboardInterrupt:
        outcome = _failure(words, HistoBridgeError("stopped"), STOPPED)
    show(outcome, as_json="--json" in words)
    return outcome.code


def _run(words: list[str]) -> Outcome:
    """Find the verb, parse its options and call it."""
    name = words[0] if words else ""
    verb = VERBS.get(name) or _unlisted(name)
    if verb is None:
        # Help, version and wrong verbs; the first two end the program.
        overview().parse_args([word for word in words if word != "--json"])
        raise UsageError(f"unknown verb {name!r}; see: histobridge --help")
    # Intermixed: `add PROJECT --domain source IMAGE…` is natural, and plain parsing refuses it.
    namespace = parser_of(name, verb).parse_intermixed_args(words[1:])
    outcome: Outcome = getattr(import_module(f"histobridge.cli.{verb.module}"), verb.function)(namespace)
    return outcome


def _unlisted(name: str) -> Verb | None:
    """Jobs without a line in the overview, such as the self-test of the engine."""
    if not name or name.startswith("-"):
        return None
    from histobridge.core.jobs import JOBS

    return Verb("jobs", "start", JOBS[name].title) if name in JOBS else None


def _failure(words: list[str], error: HistoBridgeError, code: int) -> Outcome:
    values = {"verb": words[0] if words else "", "error": str(error), **getattr(error, "details", {})}
    return Outcome(values, [f"histobridge: {error}"], getattr(error, "code", code))
