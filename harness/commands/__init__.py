"""What each subcommand of ``rift`` takes and does: a file is a subcommand, with its name and a function ``command``.

``rift --help`` loads all of them, so the engine is imported inside the functions; what a subcommand needs beyond a few
lines lies in a file with an underscore.
"""
