"""What stand-ins that answer HTTP share: a server in a thread, faults on request, a record of calls.

What does not belong here: anything that one outside system does differently from another.
"""
