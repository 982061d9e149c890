"""The smallest desktop there is, with a probe: what test_appprocess.py starts."""

from __future__ import annotations

import os
import sys

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.probe import Probe


class Tiny:
    """A counter and a field."""

    def __init__(self) -> None:
        self.open = True
        self.count = 0

    def build(self) -> None:
        """Make the items."""
        with dpg.window(tag="main"):
            dpg.add_button(label="Add", tag="add", callback=lambda *_: self.add())
            dpg.add_text("0", tag="count")
            dpg.add_input_text(tag="field")
            dpg.add_button(label="Crash", tag="crash", callback=lambda *_: os._exit(3))
            dpg.add_button(label="Off", tag="off", enabled=False)
            dpg.add_text("not now", tag="hidden", show=False)
            with dpg.child_window(tag="list"):
                dpg.add_text("row")
        dpg.set_primary_window("main", True)

    def add(self) -> None:
        """Count."""
        self.count += 1
        dpg.set_value("count", str(self.count))

    def close(self) -> None:
        """End after this frame."""
        self.open = False

    def run(self) -> int:
        """Until it is closed."""
        dpg.create_context()
        dpg.configure_app(manual_callback_management=True)
        dpg.create_viewport(title="tiny", width=500, height=300, x_pos=40, y_pos=30, vsync=False)
        self.build()
        dpg.setup_dearpygui()
        dpg.show_viewport()
        probe = Probe.wanted(os.environ, self.close)
        print("ready", flush=True)
        while self.open and dpg.is_dearpygui_running():
            if probe is not None:
                probe.drain()
            dpg.render_dearpygui_frame()
            for callback, sender, data, user_data in dpg.get_callback_queue() or ():
                if callback is not None:
                    callback(sender, data, user_data)
        if probe is not None:
            probe.close()
        dpg.destroy_context()
        return 0


if __name__ == "__main__":
    sys.exit(Tiny().run())
