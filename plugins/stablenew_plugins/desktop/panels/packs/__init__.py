"""The side bar and the prompt editor."""
