"""The HTTP surface: health, metrics, the admin API."""
