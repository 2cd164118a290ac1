"""The process that ganzoo runs in: its CPU cores, memory, signals and output streams."""
