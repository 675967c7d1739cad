"""What is measured. Each contestant is a program of its own, run in a fresh interpreter.

It takes its surroundings as one JSON argument, measures its own work without the interpreter's start
and the imports, and prints one line of JSON: seconds, the process's peak memory, and its counts.
"""
