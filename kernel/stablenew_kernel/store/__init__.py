"""What the kernel keeps on disk: the queue and its history (SQLite, one writer), images by content, run
folders, the learning journal. Nothing but the kernel opens the database."""
