"""Keeps Freshservice, TOGA 2 and TOGaDesk in step, per client, as a Dagster data pipeline."""
