"""Freshservice: its client, its models, the wire spelling."""
