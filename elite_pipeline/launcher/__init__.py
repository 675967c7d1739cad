"""The demo's launcher: one foreground process that starts, watches and ends everything else.

``command`` is what an operator types; ``folder`` keeps the data, ``steps`` is the one table of the
commands that are run, ``supervisor`` and ``guard`` run them, ``dagster_page`` talks to Dagster's
page over HTTP.

What does not belong here: the demo's clients, ports and credentials (``demo``), what the sandbox
does (``sandbox``, reached through the command line only), and anything that imports dagster.
"""
