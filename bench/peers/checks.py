"""What the checks of this folder have in common: their arguments, a line for each check, and the exit code."""

import argparse
import sys
from pathlib import Path

TEXTS = [
    "The harbour opened in 1874.",
    "  Two spaces,\ttab,\r\nlines\n\n\nand ünïcode: 漢字 🙂 e\u0301",
]
failed = 0


def check(name: str, ok: bool, detail: object = "") -> None:
    global failed
    failed += not ok
    print(f"  {'ok  ' if ok else 'FAIL'} {name}" + (f": {detail}" if detail != "" else ""), flush=True)


def finish() -> None:
    """Ends the program; the exit code is 1 when a check failed."""
    sys.exit(1 if failed else 0)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that every check has."""
    made = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=doc)
    made.add_argument("--engine", type=Path, required=True)
    made.add_argument("--model", type=Path, required=True)
    return made


def exported(doc: str | None) -> argparse.ArgumentParser:
    """Those of a check of what was exported: an adapter, and a folder for files."""
    made = parser(doc)
    made.add_argument("--adapter", type=Path)
    made.add_argument("--scratch", type=Path, required=True)
    return made
