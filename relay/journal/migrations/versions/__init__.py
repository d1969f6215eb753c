"""The versions of the schema, each the step from the one before."""
