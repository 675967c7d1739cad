"""The engine: what a sync means. Knows the outside systems only through their packages."""
