"""Side-by-side measurements of the pipeline and its peers: ``make bench``; see docs/benchmarks.md.

What belongs here: what is compared, how it is measured, and the table. What does not: tests; nothing
here passes or fails a build.
"""
