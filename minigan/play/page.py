"""The page of `minigan play`, served to this machine alone."""

import base64
import contextlib
import io
import socket
import tempfile
import webbrowser
from functools import partial
from pathlib import Path

from minigan.errors import MiniganError
from minigan.gans.model import networks
from minigan.gans.settings import literals
from minigan.random import Generator
from minigan.report.samples import as_pixels, picture_of, tiles
from minigan.training import Run, Sampler, tiles_of, translate

from .draw import Canvas, paints_of
from .explore import Explorer

HOST = "127.0.0.1"
WAY = 9  # samples of the way between two
SEEDS = 1000  # of the slider; any other can be typed
LARGEST = 1600  # pixels a side that the page shows
STYLE = """
.sharp img { image-rendering: pixelated; }
.paper { touch-action: none; cursor: crosshair; outline: 1px solid #8888; }
.q-slider { min-width: 10rem; }
"""


def serve(run: Run, sampler: Sampler, port: int = 8080, open: bool = True):
    """Serve the page of a run's model at http://127.0.0.1:port until it is interrupted. It reads nothing but
    the run, and the data that this learned from when an example is asked for.

    open: show it in the browser, where there is one.
    MiniganError for a port in use, and for a model with which there is nothing to play.
    """
    from nicegui import app, ui

    _check_free(port)
    for network in networks(sampler.parts).values():
        network.eval()  # for good: pages are answered at the same time
    if sampler.model.has("translate"):
        show = partial(_Drawing, sampler, run.options().data)
    else:
        show = partial(_Exploring, Explorer(sampler))
    address = f"http://{HOST}:{port}"

    @ui.page("/")
    def index():
        ui.add_css(STYLE)
        with ui.column().classes("w-full max-w-5xl mx-auto p-2 sm:p-4"):
            ui.label(f"{sampler.model.name}, step {sampler.step}").classes("text-h6")
            show()

    def tell():
        print(f"{address}, until Ctrl-C", flush=True)
        if open:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(address)

    app.on_startup(tell)
    ui.run(
        host=HOST,
        port=port,
        title=f"minigan play: {sampler.model.name}",
        favicon="🎲",
        dark=None,  # as the browser has it
        show=False,
        reload=False,
        show_welcome_message=False,
    )


def _check_free(port):
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise MiniganError(f"there is no room at port {port}: {why}; choose another --port") from error


def _png(picture) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _address(picture) -> str:
    """A PIL image as an address that holds all of it; of a large one, a smaller picture."""
    if max(picture.size) > LARGEST:
        picture = picture.copy()
        picture.thumbnail((LARGEST, LARGEST))
    return "data:image/png;base64," + base64.b64encode(_png(picture)).decode()


def _picture(images):
    """The first of images (N, C, H, W) in [-1, 1], for Pillow."""
    return picture_of(as_pixels(images[:1])[0])


class _Choices:
    """Controls for what a model may be asked for, by name. values: what is asked for now."""

    def __init__(self, asks, classes, changed):
        from nicegui import ui

        self.words = {}
        for asked in asks.values():
            kind, *_ = asked.kinds
            words = literals(asked.kind) or (range(classes) if asked.name == "label" else ())
            name = asked.name.replace("_", " ")
            if words:
                chosen = words[0] if asked.default is None else asked.default
                control = ui.select([*words], value=chosen, label=name).on_value_change(changed)
            elif kind in (int, float):
                step = 1 if kind is int else 0.05
                control = ui.number(name, value=asked.default, step=step).on_value_change(changed)
            else:
                control = ui.input(name, value=asked.default or "").on_value_change(changed)
            control.classes(f"w-40 ask-{asked.name}").tooltip(asked.help)
            self.words[asked.name] = control, kind

    @property
    def values(self) -> dict:
        """What is asked for, without what is left open."""
        found = {name: (control.value, kind) for name, (control, kind) in self.words.items()}
        return {
            name: kind(value) if kind in (int, float, str) else value
            for name, (value, kind) in found.items()
            if value not in (None, "")
        }


class _Exploring:
    """The page of a model from noise."""

    def __init__(self, explorer: Explorer):
        from nicegui import ui

        self.explorer, self.pins, self.ui = explorer, {}, ui
        with ui.row().classes("w-full gap-6 items-start"):
            with ui.column():
                self.shown = ui.interactive_image().classes("sharp w-72 sm:w-96 sample")
                self.words = ui.label().classes("text-sm max-w-sm text-negative")
            with ui.column().classes("grow"):
                with ui.row().classes("items-center"):
                    self.seed = ui.number("seed", value=0, min=0, precision=0, step=1).classes("w-28 seed")
                    ui.button("next", on_click=self._next).props("outline dense").classes("next")
                    ui.button("save", on_click=self._save).props("outline dense")
                self.slider = ui.slider(min=0, max=SEEDS - 1, value=0).classes("seeds")
                self.slider.on_value_change(lambda e: self.seed.set_value(e.value))
                self.seed.on_value_change(self._from_seed)
                with ui.row():
                    self.choices = _Choices(
                        explorer.sampler.model.asks, explorer.sampler.classes, self._at_seed
                    )
                ui.label("The directions in which samples differ most, in deviations").classes("text-sm")
                self.moves = []
                for i in range(len(explorer.directions)):
                    move = ui.slider(min=-3, max=3, step=0.1, value=0).props("label").classes(f"move-{i + 1}")
                    self.moves.append(move.on_value_change(self._at_seed))
                with ui.row():
                    ui.button("centre", on_click=self._centre).props("outline dense").classes("centre")
                    for pin in "AB":
                        ui.button(f"pin {pin}", on_click=lambda pin=pin: self._pin(pin)).props(
                            "outline dense"
                        ).classes(f"pin-{pin}")
        self.strip = ui.column().classes("w-full")
        with self.strip:
            self.way = ui.interactive_image().classes("sharp w-full way")
            self.t = ui.slider(min=0, max=1, step=0.01, value=0).classes("between")
            self.t.on_value_change(self._on_the_way)
        self.strip.set_visibility(False)
        self._at_seed()

    def _next(self):
        self.seed.set_value(int(self.seed.value or 0) + 1)

    def _save(self):
        self.ui.download.content(_png(self.picture), f"sample-{int(self.seed.value or 0)}.png")

    def _from_seed(self):
        if self.seed.value is not None and 0 <= self.seed.value < SEEDS:
            self.slider.set_value(int(self.seed.value))
        self._at_seed()

    def _centre(self):
        for move in self.moves:
            move.set_value(0)

    def _at_seed(self):
        if self.seed.value is None:
            return
        moved = [move.value for move in self.moves]
        try:
            self.here = self.explorer.at(int(self.seed.value), moved, **self.choices.values)
            self._show()
        except (MiniganError, ValueError) as error:  # what was typed
            self.words.set_text(str(error))

    def _show(self):
        self.picture = _picture(self.explorer.image(self.here))
        self.shown.set_source(_address(self.picture))
        self.words.set_text("")

    def _pin(self, pin):
        self.pins[pin] = self.here
        if len(self.pins) == 2:
            a, b = self.pins["A"], self.pins["B"]
            ways = [self.explorer.between(a, b, i / (WAY - 1)) for i in range(WAY)]
            self.way.set_source(_address(tiles(self.explorer.image(*ways), WAY)))
            self.strip.set_visibility(True)
        else:
            self.ui.notify(f"pinned as {pin}; pin another sample as {'B' if pin == 'A' else 'A'}")

    def _on_the_way(self):
        self.here = self.explorer.between(self.pins["A"], self.pins["B"], self.t.value)
        self._show()


class _Drawing:
    """The page of a model that makes pictures of pictures."""

    def __init__(self, sampler: Sampler, data: str):
        from nicegui import ui

        self.sampler, self.ui, self.last, self.due, self.example = sampler, ui, None, True, 0
        channels, size = sampler.fields.shape[0], sampler.fields.shape[1] // sampler.model.scale(sampler.cfg)
        paints = paints_of(data, channels)
        self.canvas = Canvas(channels, size, paints)
        self.paint = "black" if "black" in paints else [*paints][-1]
        self.given = None  # a picture that was dropped, in place of what is drawn
        self.done = 0
        with ui.row().classes("w-full gap-6 items-start"):
            with ui.column():
                self.paper = ui.interactive_image(
                    on_mouse=self._moved, events=["pointerdown", "pointermove", "pointerup", "pointerleave"]
                ).classes("sharp paper w-72 sm:w-96")
                with ui.row().classes("gap-1 max-w-sm"):
                    for name, colour in paints.items():
                        self._paint_button(name, colour)
                with ui.row().classes("items-center"):
                    ui.label("pen")
                    self.pen = ui.slider(min=1, max=max(size // 4, 2), value=max(size // 16, 1))
                    self.pen.props("label")
                with ui.row():
                    ui.button("clear", on_click=self._clear).props("outline dense").classes("clear")
                    ui.button("an example", on_click=self._example).props("outline dense").classes("example")
            with ui.column():
                self.shown = {}
                self.results = ui.column()
                with ui.row():
                    self.seed = ui.number("seed", value=0, min=0, precision=0).classes("w-28 seed")
                    self.seed.on_value_change(self._again)
                    self.choices = _Choices(sampler.model.asks_of_pictures, 0, self._again)
                self.words = ui.label().classes("text-sm max-w-sm text-negative")
                ui.upload(label="a picture of yours", auto_upload=True, on_upload=self._dropped).classes(
                    "w-72 sm:w-96 drop"
                ).props("accept=image/*")
                self.bar = ui.linear_progress(show_value=False).classes("w-72")
                self.bar.set_visibility(False)
        self._show_paper()
        ui.timer(0.02, self._answer)

    def _paint_button(self, name, colour):
        dark = sum(colour) < 384
        button = self.ui.button(name, on_click=lambda: self._take(name)).props("dense no-caps unelevated")
        button.style(f"background: rgb{colour} !important; color: {'white' if dark else 'black'} !important")
        button.classes(f"paint-{name} text-xs px-2")

    def _take(self, name):
        self.paint = name

    def _clear(self):
        self.canvas.clear()
        self._drawn()

    def _example(self):
        try:
            x, *_ = self.sampler.inputs(1, Generator(self.example)).values()
        except MiniganError as error:
            self.words.set_text(str(error))
            return
        self.example += 1
        self.canvas.show(as_pixels(x)[0].transpose(2, 0, 1))
        self._drawn()

    def _moved(self, event):
        here = event.image_x, event.image_y
        if not event.buttons or event.type in ("pointerup", "pointerleave"):
            self.last = None
            return
        self.canvas.stroke(self.last or here, here, self.paint, int(self.pen.value))
        self.last = here
        self._drawn()

    def _drawn(self):
        self.given = None
        self._show_paper()
        self._again()

    def _show_paper(self):
        self.paper.set_source(_address(self.canvas.picture))

    def _again(self):
        self.due = True

    async def _dropped(self, event):
        from minigan.data.pictures import read_picture

        event.sender.reset()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "picture"
            file.write_bytes(await event.file.read())
            try:
                self.given, _ = read_picture(file, channels=len(self.canvas.pixels))
            except MiniganError as error:
                self.words.set_text(str(error).replace(str(file), event.file.name))
                return
        self.paper.set_source(_address(picture_of(self.given.transpose(1, 2, 0))))
        self._again()

    async def _answer(self):
        """What the model makes of what is there now; in a thread, so that the page goes on."""
        from nicegui import run

        if not self.due or self.seed.value is None:
            return
        self.due = False
        pixels = self.canvas.pixels.copy() if self.given is None else self.given
        count = len(tiles_of(*pixels.shape[1:], self.sampler.model.reach(self.sampler.cfg)))
        self.bar.set_visibility(count > 1)

        def report(done):
            self.bar.set_value(done / count)

        try:
            made = await run.io_bound(
                translate, self.sampler, pixels, int(self.seed.value), report, **self.choices.values
            )
        except (MiniganError, ValueError) as error:
            self.words.set_text(str(error))
            return
        finally:
            self.bar.set_visibility(False)
        self.words.set_text("")
        with self.results:
            for name, picture in made.items():
                if name not in self.shown:
                    self.shown[name] = self.ui.interactive_image().classes("sharp w-72 sm:w-96 made")
                    with self.ui.row().classes("items-center"):
                        self.ui.label(name).classes("text-sm")
                        save = self.ui.button("save", on_click=lambda name=name: self._save(name))
                        save.props("outline dense")
                self.shown[name].set_source(_address(picture))
        self.made = made

    def _save(self, name):
        self.ui.download.content(_png(self.made[name]), f"{name}.png")
