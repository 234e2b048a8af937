"""The command line: `inrcodec encode | decode | info | verify | evaluate | doctor`.

What was asked for (a stream, pictures, facts, JSON) goes to standard output; words about the work and errors go to
standard error. Each verb is a module with `run(arguments) -> exit status`, imported when it is called: what it needs
may take seconds to load (PyTorch), and `info` and `--help` need none of it.
"""

from __future__ import annotations

import sys
from importlib import import_module

from inrcodec.cli.failures import Terminated, ends_when_terminated, report
from inrcodec.cli.parser import make_parser
from inrcodec.errors import StreamError


def main(argv: list[str] | None = None) -> int:
    """Runs the command line `argv` (None: that of the process) and returns its exit status; see `parser.EPILOG`."""
    about = ""
    try:
        arguments = make_parser().parse_args(argv)
        about = arguments.input if isinstance(getattr(arguments, "input", None), str) else ""
        with ends_when_terminated():
            status = import_module(f"inrcodec.cli.{arguments.verb}").run(arguments)
        sys.stdout.flush()
        return status
    except SystemExit as end:  # argparse, after --help or --version
        return end.code
    except (Exception, KeyboardInterrupt, Terminated) as error:
        return report(error, about if isinstance(error, StreamError) else "")
