"""What varies in a prompt: its grammar, the space of its variants, and which of them an image takes. Pure."""
