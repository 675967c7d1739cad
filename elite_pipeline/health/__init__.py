"""Whether the sync is well: what is measured, what is too much, and what to do then. Knows no Dagster.

Imports nothing by itself: the definitions need the names of the checks alone (``findings``), and are
loaded by every process that Dagster starts.
"""
