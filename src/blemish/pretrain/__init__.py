"""Training a backbone on pictures and words: what to learn from, what to aim at, and the loop."""
