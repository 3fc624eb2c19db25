"""On the line: verdicts within a budget, a record of every part, and doors for people and machines."""
