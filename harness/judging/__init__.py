"""From a history to verdicts: runs of ours, and recorded histories of other tools. Nothing is started."""
