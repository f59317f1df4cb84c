"""What clients do: one workload per file, each exposing ``WORKLOAD``."""
