"""The settings: what is accepted, what is refused, and that nothing secret is ever said."""
