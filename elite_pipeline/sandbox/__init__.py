"""Runnable stand-ins for the outside systems: used by the command line and the tests alone."""
