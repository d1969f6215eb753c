"""What is shipped for operators, tried as they would use it."""
