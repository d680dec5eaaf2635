"""What a user writes: the schema of recipes, and how they are read."""
