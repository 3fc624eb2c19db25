"""How well scores separate anomalous from normal: plain functions on arrays, higher scores mean more anomalous.

Scores are taken raw: only their order counts, so any strictly increasing transform leaves every metric unchanged.
"""
