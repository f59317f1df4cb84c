"""What each subcommand of ``rift`` does, one file each. A file with an underscore is loaded when it is needed."""
