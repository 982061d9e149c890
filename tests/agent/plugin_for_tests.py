"""A one-file plugin: a backend without delay, and stages that misbehave on purpose. Copied into a plugin
folder."""

import os
import sys
import time

from PIL import Image
from pydantic import BaseModel, Field

from stablenew_api import hookimpl
from stablenew_api.backend import Backend, BackendIdentity, Capabilities, GenerationResult, Progress
from stablenew_api.errors import StageFailure
from stablenew_api.stage import Phase, Stage, StageConfig, StageImage


class Options(BaseModel):
    size: int = Field(8, ge=1, le=4096)
    says_goodbye: str = ""  # path of a file to make when it is closed
    answers_when: str = ""  # path of a file that must exist before the backend answers
    diary: str = ""  # path of a file that gets a line for each thing that a call does
    last_seed: int = 0  # a call with a lower one is only decoded when that with the next one has begun


class TestBackend(Backend):
    name, version, title = "test", "1.0", "For tests"
    Config = Options

    def must_answer(self):
        if self.config.answers_when and not os.path.exists(self.config.answers_when):
            raise StageFailure("backend", "the test backend is switched off; make the file")

    def identify(self):
        self.must_answer()
        return BackendIdentity("test", "1.0", stand_in=True, note="draws nothing worth seeing")

    def capabilities(self):
        return Capabilities(features=frozenset({"txt2img"}), models=("red", "blue"), samplers=("Euler",))

    def note(self, what, request):
        if self.config.diary:
            with open(self.config.diary, "a", encoding="utf-8") as file:
                file.write(f"{what} {request.seed}\n")

    def diary(self):
        with open(self.config.diary, encoding="utf-8") as file:
            return file.read()

    def txt2img(self, request, progress, cancel):
        self.must_answer()
        self.note("begin", request)
        image = Image.new("RGB", (self.config.size, self.config.size), (request.seed % 256, 0, 0))
        for step in range(1, request.steps + 1):
            cancel.raise_if_cancelled()
            progress(step, request.steps, image)
        self.note("received", request)
        progress.received()
        if request.seed < self.config.last_seed:
            deadline = time.monotonic() + 45
            while f"begin {request.seed + 1}\n" not in self.diary() and time.monotonic() < deadline:
                cancel.wait(0.005)
        self.note("end", request)
        return GenerationResult(image, {"Steps": request.steps}, peak_vram_bytes=1000 + request.seed)

    img2img = upscale = txt2img

    def close(self):
        if self.config.says_goodbye:
            with open(self.config.says_goodbye, "w", encoding="utf-8"):
                pass


class Base(Stage):
    version, phase, Config = "1.0", Phase.GENERATE, StageConfig

    @property
    def title(self):
        return self.name


class Told(Progress):
    """Tells the stage's context."""

    def __init__(self, ctx):
        self._ctx = ctx

    def __call__(self, step, steps, preview=None):
        self._ctx.progress(step, steps, preview)


class Draw(Base):
    """One image; says the pid of the worker."""

    name, title = "draw", "Draw"

    def run(self, ctx, config, images):
        from stablenew_api.backend import Txt2ImgRequest

        made = ctx.backend.txt2img(
            Txt2ImgRequest(ctx.prompt, "", ctx.seed, 3, 7.0, "Euler", "", "red", width=8, height=8),
            Told(ctx),
            ctx.cancel,
        )
        return [StageImage(made.image, {**made.info, "pid": os.getpid()})]


class StepsConfig(StageConfig):
    steps: int = Field(1000, ge=1)
    seconds: float = 0.01
    gate: str = ""  # path of a file that must exist before the last step ends


class Steps(Base):
    """Steps with a pause each; honours cancel."""

    name, title, Config = "steps", "Steps", StepsConfig

    def run(self, ctx, config, images):
        picture = Image.effect_noise((600, 400), 90)
        for step in range(1, config.steps + 1):
            ctx.cancel.wait(config.seconds)
            ctx.cancel.raise_if_cancelled()
            ctx.progress(step, config.steps, picture if ctx.wants_preview() else None)
        while config.gate and not os.path.exists(config.gate):
            ctx.cancel.wait(0.01)
            ctx.cancel.raise_if_cancelled()
        return []


class Hang(Base):
    """Never looks at the cancel token."""

    name, title = "hang", "Hang"

    def run(self, ctx, config, images):
        ctx.progress(1, 2)
        while True:
            time.sleep(0.05)


class DieConfig(StageConfig):
    code: int = 9


class Die(Base):
    """Takes the worker down."""

    name, title, Config = "die", "Die", DieConfig

    def run(self, ctx, config, images):
        sys.stderr.write("a library gave up\n")
        sys.stderr.flush()
        os._exit(config.code)


class Chatty(Base):
    """Prints on every channel there is, and tries to read."""

    name, title = "chatty", "Chatty"

    def run(self, ctx, config, images):
        print('{"op":"done"}')
        os.write(1, b'{"op":"progress"}\n')
        os.system("echo from a child process")
        return [StageImage(Image.new("L", (1, 1)), {"stdin": sys.stdin.read(), "raw": os.read(0, 10).decode()})]


class RaiseConfig(StageConfig):
    how: str = "bug"


class Raise(Base):
    name, title, Config = "raise", "Raise", RaiseConfig

    def run(self, ctx, config, images):
        if config.how == "memory":
            raise MemoryError
        if config.how == "exit":
            sys.exit(0)
        if config.how == "json":
            return [StageImage(Image.new("L", (1, 1)), {"bad": object()})]
        if config.how == "surrogate":
            raise OSError("no such file: \udcff")
        if config.how == "oom":
            raise StageFailure("out_of_memory", "CUDA out of memory", "the backend's reply")
        raise KeyError("oops")


class Invert(Base):
    """Needs an image."""

    name, title, phase = "invert", "Invert", Phase.POST

    def run(self, ctx, config, images):
        from PIL import ImageOps

        return [StageImage(ImageOps.invert(image.image), image.info) for image in images]


@hookimpl
def stablenew_stages():
    return [Draw, Steps, Hang, Die, Chatty, Raise, Invert]


@hookimpl
def stablenew_backends():
    return [TestBackend]
