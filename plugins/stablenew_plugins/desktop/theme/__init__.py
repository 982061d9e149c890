"""How the desktop looks: its colours, fonts, icons and distances."""
