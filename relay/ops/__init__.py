"""The relay's voice: log events, metric series, health and the HTTP surface."""
