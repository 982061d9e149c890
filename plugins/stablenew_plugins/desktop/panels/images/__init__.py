"""The preview, the tab Learning, and the overlays with images."""
