"""The relay's voice: events, logs, metrics, health."""
