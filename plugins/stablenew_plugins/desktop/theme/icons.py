"""The icons in the fonts of the desktop, as characters: ``f"{icons.PLAY} Run"``.

Made by ``assets/build_fonts.py``; https://lucide.dev/icons shows them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACTIVITY = "\ue038"
APERTURE = "\ue040"
ARROW_DOWN = "\ue042"
ARROW_LEFT = "\ue048"
ARROW_RIGHT = "\ue049"
ARROW_UP = "\ue04a"
ARROW_UP_DOWN = "\ue37d"
BLOCKS = "\ue4fa"
BOOKMARK = "\ue060"
BOX = "\ue061"
BOXES = "\ue2d0"
BRAIN = "\ue3c6"
BUG = "\ue20c"
CALENDAR = "\ue063"
CHART_BAR = "\ue2a2"
CHART_COLUMN = "\ue2a3"
CHART_LINE = "\ue2a5"
CHECK = "\ue06c"
CHEVRON_DOWN = "\ue06d"
CHEVRON_LEFT = "\ue06e"
CHEVRON_RIGHT = "\ue06f"
CHEVRON_UP = "\ue070"
CHEVRONS_DOWN = "\ue071"
CHEVRONS_UP = "\ue074"
CIRCLE = "\ue076"
CIRCLE_ALERT = "\ue077"
CIRCLE_CHECK = "\ue226"
CIRCLE_DOT = "\ue345"
CIRCLE_HELP = "\ue082"
CIRCLE_PAUSE = "\ue07f"
CIRCLE_PLAY = "\ue080"
CIRCLE_STOP = "\ue083"
CLOCK = "\ue087"
CLOUD = "\ue088"
COLUMNS_2 = "\ue098"
COPY = "\ue09e"
CORNER_DOWN_LEFT = "\ue0a1"
CPU = "\ue0a9"
CROP = "\ue0ab"
DATABASE = "\ue0ad"
DICE_5 = "\ue28b"
DOWNLOAD = "\ue0b2"
ELLIPSIS = "\ue0b6"
ELLIPSIS_VERTICAL = "\ue0b7"
EXPAND = "\ue21a"
EXTERNAL_LINK = "\ue0b9"
EYE = "\ue0ba"
EYE_OFF = "\ue0bb"
FILE_PLUS = "\ue0c9"
FILE_TEXT = "\ue0cc"
FILM = "\ue0d0"
FILTER = "\ue0dc"
FLAME = "\ue0d2"
FOLDER = "\ue0d7"
FOLDER_OPEN = "\ue247"
FOLDER_PLUS = "\ue0d9"
FRAME = "\ue291"
GAUGE = "\ue1bf"
GIT_BRANCH = "\ue0e2"
GRADUATION_CAP = "\ue234"
GRID_2X2 = "\ue4ff"
GRIP_VERTICAL = "\ue0eb"
HAND = "\ue1d7"
HARD_DRIVE = "\ue0ed"
HASH = "\ue0ef"
HEART = "\ue0f2"
HISTORY = "\ue1f5"
HOUSE = "\ue0f5"
IMAGE = "\ue0f6"
IMAGE_OFF = "\ue1c0"
IMAGE_PLUS = "\ue1f7"
IMAGES = "\ue5c4"
INFO = "\ue0f9"
KEY_ROUND = "\ue4a3"
KEYBOARD = "\ue284"
LANGUAGES = "\ue0fe"
LAYERS = "\ue529"
LAYOUT_GRID = "\ue0ff"
LIGHTBULB = "\ue1c2"
LINK = "\ue102"
LIST = "\ue106"
LIST_FILTER = "\ue460"
LIST_ORDERED = "\ue1d1"
LOADER = "\ue109"
LOCK = "\ue10b"
LOG_OUT = "\ue10e"
MAXIMIZE = "\ue112"
MEMORY_STICK = "\ue445"
MESSAGE_SQUARE = "\ue117"
MINUS = "\ue11c"
MONITOR = "\ue11d"
MOON = "\ue11e"
MOVE = "\ue121"
NETWORK = "\ue125"
OCTAGON_ALERT = "\ue127"
PACKAGE = "\ue129"
PALETTE = "\ue1dd"
PANEL_LEFT = "\ue12a"
PANEL_RIGHT = "\ue431"
PAUSE = "\ue12e"
PEN = "\ue12f"
PENCIL = "\ue1f9"
PLAY = "\ue13c"
PLUG = "\ue37f"
PLUS = "\ue13d"
POWER = "\ue140"
PUZZLE = "\ue29c"
REDO_2 = "\ue2a0"
REFRESH_CW = "\ue145"
ROCKET = "\ue286"
ROTATE_CCW = "\ue148"
ROTATE_CW = "\ue149"
RULER = "\ue14b"
SAVE = "\ue14d"
SCALE = "\ue212"
SCAN = "\ue257"
SCAN_FACE = "\ue371"
SCISSORS = "\ue14e"
SEARCH = "\ue151"
SEND = "\ue152"
SERVER = "\ue153"
SETTINGS = "\ue154"
SHRINK = "\ue220"
SHUFFLE = "\ue15e"
SKIP_FORWARD = "\ue160"
SLIDERS_HORIZONTAL = "\ue29a"
SPARKLES = "\ue412"
SPLIT = "\ue440"
SQUARE = "\ue167"
STAMP = "\ue3bb"
STAR = "\ue176"
STAR_HALF = "\ue20b"
STICKY_NOTE = "\ue303"
SUN = "\ue178"
TAG = "\ue17f"
TAGS = "\ue35c"
TERMINAL = "\ue181"
THERMOMETER = "\ue186"
THUMBS_DOWN = "\ue189"
THUMBS_UP = "\ue18a"
TIMER = "\ue1e0"
TRASH_2 = "\ue18e"
TRIANGLE_ALERT = "\ue193"
TYPE = "\ue198"
UNDO_2 = "\ue2a1"
UNLOCK = "\ue10c"
UPLOAD = "\ue19e"
VIDEO = "\ue1a5"
WAND = "\ue246"
WAND_SPARKLES = "\ue357"
WIFI = "\ue1ae"
WIFI_OFF = "\ue1af"
WIND = "\ue1b0"
WORKFLOW = "\ue425"
X = "\ue1b2"
ZAP = "\ue1b4"
ZOOM_IN = "\ue1b6"
ZOOM_OUT = "\ue1b7"

BY_NAME: Mapping[str, str] = MappingProxyType(
    {
        "activity": ACTIVITY,
        "aperture": APERTURE,
        "arrow-down": ARROW_DOWN,
        "arrow-left": ARROW_LEFT,
        "arrow-right": ARROW_RIGHT,
        "arrow-up": ARROW_UP,
        "arrow-up-down": ARROW_UP_DOWN,
        "blocks": BLOCKS,
        "bookmark": BOOKMARK,
        "box": BOX,
        "boxes": BOXES,
        "brain": BRAIN,
        "bug": BUG,
        "calendar": CALENDAR,
        "chart-bar": CHART_BAR,
        "chart-column": CHART_COLUMN,
        "chart-line": CHART_LINE,
        "check": CHECK,
        "chevron-down": CHEVRON_DOWN,
        "chevron-left": CHEVRON_LEFT,
        "chevron-right": CHEVRON_RIGHT,
        "chevron-up": CHEVRON_UP,
        "chevrons-down": CHEVRONS_DOWN,
        "chevrons-up": CHEVRONS_UP,
        "circle": CIRCLE,
        "circle-alert": CIRCLE_ALERT,
        "circle-check": CIRCLE_CHECK,
        "circle-dot": CIRCLE_DOT,
        "circle-help": CIRCLE_HELP,
        "circle-pause": CIRCLE_PAUSE,
        "circle-play": CIRCLE_PLAY,
        "circle-stop": CIRCLE_STOP,
        "clock": CLOCK,
        "cloud": CLOUD,
        "columns-2": COLUMNS_2,
        "copy": COPY,
        "corner-down-left": CORNER_DOWN_LEFT,
        "cpu": CPU,
        "crop": CROP,
        "database": DATABASE,
        "dice-5": DICE_5,
        "download": DOWNLOAD,
        "ellipsis": ELLIPSIS,
        "ellipsis-vertical": ELLIPSIS_VERTICAL,
        "expand": EXPAND,
        "external-link": EXTERNAL_LINK,
        "eye": EYE,
        "eye-off": EYE_OFF,
        "file-plus": FILE_PLUS,
        "file-text": FILE_TEXT,
        "film": FILM,
        "filter": FILTER,
        "flame": FLAME,
        "folder": FOLDER,
        "folder-open": FOLDER_OPEN,
        "folder-plus": FOLDER_PLUS,
        "frame": FRAME,
        "gauge": GAUGE,
        "git-branch": GIT_BRANCH,
        "graduation-cap": GRADUATION_CAP,
        "grid-2x2": GRID_2X2,
        "grip-vertical": GRIP_VERTICAL,
        "hand": HAND,
        "hard-drive": HARD_DRIVE,
        "hash": HASH,
        "heart": HEART,
        "history": HISTORY,
        "house": HOUSE,
        "image": IMAGE,
        "image-off": IMAGE_OFF,
        "image-plus": IMAGE_PLUS,
        "images": IMAGES,
        "info": INFO,
        "key-round": KEY_ROUND,
        "keyboard": KEYBOARD,
        "languages": LANGUAGES,
        "layers": LAYERS,
        "layout-grid": LAYOUT_GRID,
        "lightbulb": LIGHTBULB,
        "link": LINK,
        "list": LIST,
        "list-filter": LIST_FILTER,
        "list-ordered": LIST_ORDERED,
        "loader": LOADER,
        "lock": LOCK,
        "log-out": LOG_OUT,
        "maximize": MAXIMIZE,
        "memory-stick": MEMORY_STICK,
        "message-square": MESSAGE_SQUARE,
        "minus": MINUS,
        "monitor": MONITOR,
        "moon": MOON,
        "move": MOVE,
        "network": NETWORK,
        "octagon-alert": OCTAGON_ALERT,
        "package": PACKAGE,
        "palette": PALETTE,
        "panel-left": PANEL_LEFT,
        "panel-right": PANEL_RIGHT,
        "pause": PAUSE,
        "pen": PEN,
        "pencil": PENCIL,
        "play": PLAY,
        "plug": PLUG,
        "plus": PLUS,
        "power": POWER,
        "puzzle": PUZZLE,
        "redo-2": REDO_2,
        "refresh-cw": REFRESH_CW,
        "rocket": ROCKET,
        "rotate-ccw": ROTATE_CCW,
        "rotate-cw": ROTATE_CW,
        "ruler": RULER,
        "save": SAVE,
        "scale": SCALE,
        "scan": SCAN,
        "scan-face": SCAN_FACE,
        "scissors": SCISSORS,
        "search": SEARCH,
        "send": SEND,
        "server": SERVER,
        "settings": SETTINGS,
        "shrink": SHRINK,
        "shuffle": SHUFFLE,
        "skip-forward": SKIP_FORWARD,
        "sliders-horizontal": SLIDERS_HORIZONTAL,
        "sparkles": SPARKLES,
        "split": SPLIT,
        "square": SQUARE,
        "stamp": STAMP,
        "star": STAR,
        "star-half": STAR_HALF,
        "sticky-note": STICKY_NOTE,
        "sun": SUN,
        "tag": TAG,
        "tags": TAGS,
        "terminal": TERMINAL,
        "thermometer": THERMOMETER,
        "thumbs-down": THUMBS_DOWN,
        "thumbs-up": THUMBS_UP,
        "timer": TIMER,
        "trash-2": TRASH_2,
        "triangle-alert": TRIANGLE_ALERT,
        "type": TYPE,
        "undo-2": UNDO_2,
        "unlock": UNLOCK,
        "upload": UPLOAD,
        "video": VIDEO,
        "wand": WAND,
        "wand-sparkles": WAND_SPARKLES,
        "wifi": WIFI,
        "wifi-off": WIFI_OFF,
        "wind": WIND,
        "workflow": WORKFLOW,
        "x": X,
        "zap": ZAP,
        "zoom-in": ZOOM_IN,
        "zoom-out": ZOOM_OUT,
    }
)
"""Each icon by the name that Lucide has for it: ``BY_NAME["circle-play"]``."""
