"""Importing this loads Mermaid's parser: for the process that children are forked from, before its first call."""

import contextlib

from penstock.diagrams import parser

with contextlib.suppress(parser.ParserMissingError):  # told by the call that needs it
    parser.load()
