"""The process that ganzoo runs in: its processor cores, memory, signals and output streams."""
