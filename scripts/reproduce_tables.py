"""Tables and figures of docs/reproduction.md from the lines of scripts/reproduce_*.py.

python scripts/reproduce_tables.py results/reproduction/*.jsonl --page docs/reproduction.md --figures docs/figures
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from inrcodec.errors import InrError
from inrcodec.evaluation.reproduction.figures import draw
from inrcodec.evaluation.reproduction.study import read_study
from inrcodec.evaluation.reproduction.tables import filled


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="reproduce_tables.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--page", type=Path, required=True, metavar="PAGE.md", help="its tables are written anew")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="reproduction-*.svg go there")
    arguments = parser.parse_args(argv)
    try:
        lines = [line for path in arguments.files for line in read_study(path)]
        arguments.page.write_text(filled(arguments.page.read_text("utf-8"), lines), "utf-8")
        if arguments.figures:
            draw(lines, arguments.figures)
    except (InrError, OSError) as error:
        print(f"reproduce_tables.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
