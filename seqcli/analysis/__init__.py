"""What a model does inside, and where it does well or badly, measured."""
