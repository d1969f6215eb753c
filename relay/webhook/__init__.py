"""Downstream: the webhook request, its signature, the HTTP client, and the judgement on answers."""
