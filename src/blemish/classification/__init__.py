"""Pictures whose types of defects are known -> a classifier that names those of others, and says how sure it is."""
