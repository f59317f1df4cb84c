"""Programs that run inside containers or namespaces of ours. Each file stands alone: only a Python is there."""
