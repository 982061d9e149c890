"""The settings of the kernel, as the window shows and changes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk_kit import Inline, make_desk
from tests.desktop.settings_kit import SettingsKernel

from stablenew_kernel.domain.settings import Settings
from stablenew_plugins.desktop.models.settings import Server, SettingsModel


@pytest.fixture
def kernel() -> SettingsKernel:
    return SettingsKernel()


@pytest.fixture
def model(tmp_path: Path, kernel: SettingsKernel) -> SettingsModel:
    model = SettingsModel(make_desk(tmp_path, kernel))
    model.load()
    return model


def setting(model: SettingsModel, name: str) -> Any:
    return next(one for one in model.settings if one.name == name)


def test_a_change_is_written_and_what_a_person_wrote_stays(
    model: SettingsModel, kernel: SettingsKernel
) -> None:
    model.change("confirm_above", 50)
    assert kernel.file == b"# mine\nconfirm_above = 50\n"
    assert model.shown(setting(model, "confirm_above")) == 50
    assert not setting(model, "confirm_above").waits


@pytest.mark.parametrize("value", ["many", -1, 2.5])
def test_what_is_refused_stays_to_be_mended_and_the_file_as_it_was(
    model: SettingsModel, kernel: SettingsKernel, value: Any
) -> None:
    model.change("confirm_above", value)
    assert kernel.file == b"# mine\nconfirm_above = 200\n"
    assert model.shown(setting(model, "confirm_above")) == value
    assert "confirm_above" in model.refused["confirm_above"].reason
    model.change("local_slots", 2)
    assert "confirm_above" in model.refused, "another setting mends nothing"
    model.change("confirm_above", 200)
    assert not model.refused
    assert model.shown(setting(model, "confirm_above")) == 200


def test_changes_are_written_one_behind_the_other(model: SettingsModel, kernel: SettingsKernel) -> None:
    background = model._desk.background
    assert isinstance(background, Inline)
    background.held = True
    model.change("confirm_above", 50)
    model.change("confirm_above", -1)
    model.change("confirm_above", 70)
    for written in (
        b"# mine\nconfirm_above = 50\n",
        b"# mine\nconfirm_above = 50\n",
        b"# mine\nconfirm_above = 70\n",
    ):
        assert len(background.waiting) == 1  # two at a time could come in any order
        background.release()
        assert kernel.file == written
    assert (background.waiting, model.refused) == ([], {})


def test_a_change_that_no_kernel_takes_is_not_lost_in_silence(model: SettingsModel) -> None:
    model._desk.state.lost("it is gone")
    model.change("confirm_above", 50)
    refusal = model.refused["confirm_above"]
    assert refusal.value == 50
    assert "it is gone" in refusal.reason


def test_what_is_read_at_the_start_waits_for_it(model: SettingsModel) -> None:
    model.change("orphan_timeout", 5)
    assert setting(model, "orphan_timeout").waits


def test_each_setting_has_one_place_and_a_name_for_people(model: SettingsModel) -> None:
    grouped = [one.name for _title, settings in model.groups for one in settings]
    elsewhere = {"local_backend", "local_backend_options", "pack_folders", "output_folder"}
    assert sorted(grouped) == sorted(set(Settings.model_fields) - elsewhere)
    assert setting(model, "keep_copies_days").title == "Keep copies for days"
    assert setting(model, "scheduler").title == "Scheduler"
    assert setting(model, "output_folder").title == "Output folder"


def test_a_server_that_is_used_keeps_its_name_and_is_asked_about_no_more(model: SettingsModel) -> None:
    assert model.engine_title == "Embedded engine"
    model.change_all({"local_backend": "webui", "local_backend_options": ["url=http://127.0.0.1:7860"]})
    assert (model.engine_url, model.engine_title) == ("http://127.0.0.1:7860", "WebUI")
    forge = model.checked = Server("http://127.0.0.1:7861", "webui", "Forge f2.0", True)
    model.use(forge)
    assert (model.engine, model.engine_url, model.engine_title) == ("webui", forge.url, "Forge f2.0")
    assert model.checked is None
