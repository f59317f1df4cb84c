"""From a plan to a history on disk: one run, in the order in which it happens."""
