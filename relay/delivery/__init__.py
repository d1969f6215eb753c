"""The way of a message to one endpoint."""
