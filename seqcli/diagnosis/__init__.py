"""What is wrong with a data set: faults of single texts, of pairs and between splits, and a copy without them."""
