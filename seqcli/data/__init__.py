"""From text on a disk or a hub to batches of ids."""
