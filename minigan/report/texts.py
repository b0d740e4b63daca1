"""Texts as pictures of their lines."""

from PIL import Image, ImageDraw, ImageFont

SIZE, HIGH, MARGIN = 14, 20, 10  # pixels: of letters, of a line, and around all


def written(all_lines: list[str]) -> Image.Image:
    """A picture of lines of text."""
    font = ImageFont.load_default(SIZE)
    widest = max((font.getlength(line) for line in all_lines), default=0)
    canvas = Image.new("RGB", (int(widest) + 2 * MARGIN, len(all_lines) * HIGH + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for i, line in enumerate(all_lines):
        draw.text((MARGIN, MARGIN + i * HIGH), line, fill="black", font=font)
    return canvas
