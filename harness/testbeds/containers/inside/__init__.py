"""Programs that run inside containers of ours. Each file stands alone: only a Python is there."""
