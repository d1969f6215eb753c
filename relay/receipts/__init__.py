"""What Mixin is owed: READ receipts, until it has them."""
