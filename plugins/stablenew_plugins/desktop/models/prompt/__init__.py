"""The tab Prompt: what runs, the randomizer, what will be made."""
