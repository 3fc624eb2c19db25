"""Pictures of manufactured surfaces and parts, good and flawed, endless and always the same for a seed."""
