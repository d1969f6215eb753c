"""What operators ask and do: one set of operations for the API and the commands."""
