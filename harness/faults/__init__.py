"""The troubles that Rift can inject: one file each, found by folder. Files that begin with ``_`` are shared pieces."""
