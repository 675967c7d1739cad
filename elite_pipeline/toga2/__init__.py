"""TOGA 2, the system of record: its wire, its records, its client."""
