"""Rift: decides whether a multi-region system keeps its promises."""

__version__ = "0.1.0"
