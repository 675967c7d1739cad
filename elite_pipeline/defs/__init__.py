"""Everything that imports dagster: how an operator sees the sync."""

import gc

# Dagster is loaded by now: a million objects that stay as long as the process does. Python would look
# through all of them for garbage, again and again, while the rest is loaded and while a run is at work:
# a third of the time of a run that has nothing to do. What is frozen is not looked at any more.
gc.freeze()
