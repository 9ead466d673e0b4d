"""After lost history: which documents does the log no longer explain? Read its keys again, and remove the rest.

``seen`` remembers the keys, on disk; ``service`` reads, waits for the sink, and removes.
"""
