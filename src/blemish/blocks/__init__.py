"""The product: pure functions and small modules that every method is composed of."""
