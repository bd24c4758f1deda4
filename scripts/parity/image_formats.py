"""What Pillow reads from small files of every format.

    pip install pillow numpy    # and libjpeg-turbo's `jpegtran`: Debian has it in libjpeg-turbo-progs
    python scripts/parity/image_formats.py crates/train/tests/formats

The files are written beside `pixels.json`, which holds for each what `Image.convert("RGB")` makes of it:
Keras's `load_img` does the same. Two things are said differently here, and so are theirs expectations:
16 bits of grey are scaled to 8 (Pillow clips them), and the camera's orientation is honoured
(`ImageOps.exif_transpose`; Keras ignores it).
"""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

HEIGHT, WIDTH = 20, 28


def smooth(channels):
    """Gradients: what lossy formats keep."""
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(channels), indexing="ij")
    return ((6 * x + 3 * y + 40 * c) % 256 if channels == 1 else 20 + 5 * x + 4 * y + 12 * c).astype(np.uint8)


def colours(height, width):
    """Edges between strong colours: what decoders differ in, where they blend or round otherwise."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((97 * (x // 3) + 151 * (y // 2) + (59 + 30 * (x // 5)) * c) % 256).astype(np.uint8)


def png16(colour_type, samples):
    """A PNG of 16 bits a sample: Pillow writes those of grey alone."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + samples[row].astype(">u2").tobytes() for row in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def turned(orientation):
    """The camera's note how it was held."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def files():
    rgb = Image.fromarray(smooth(3))
    grey = Image.fromarray(smooth(1)[..., 0])
    alpha = np.dstack([smooth(3), np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256]).astype(np.uint8)
    rgba, grey_alpha = Image.fromarray(alpha), Image.fromarray(alpha[..., 2:], "LA")
    cmyk = Image.fromarray(smooth(4), "CMYK")
    deep = smooth(1).astype(np.uint16) * 257 - 60 * (smooth(1) > 0)
    colourful = Image.fromarray(colours(HEIGHT, WIDTH))
    yield "baseline.jpg", saved(rgb, "JPEG", quality=95, subsampling=0)
    yield "subsampled.jpg", saved(rgb, "JPEG", quality=95, subsampling=2)
    yield "half_subsampled.jpg", saved(colourful, "JPEG", quality=60, subsampling=1)
    yield "colourful.jpg", saved(colourful, "JPEG", quality=60, subsampling=2)
    yield "colourful_progressive.jpg", saved(colourful, "JPEG", quality=60, subsampling=2, progressive=True)
    yield "unfinished.jpg", unfinished(saved(colourful, "JPEG", quality=60, subsampling=2, progressive=True))
    yield "colourful_optimized.jpg", saved(colourful, "JPEG", quality=100, subsampling=0, optimize=True)
    yield "odd.jpg", saved(Image.fromarray(colours(7, 35)), "JPEG", quality=60, subsampling=2)
    yield "odd_half_subsampled.jpg", saved(Image.fromarray(colours(5, 35)), "JPEG", quality=60, subsampling=1)
    yield "narrow.jpg", saved(Image.fromarray(colours(35, 1)), "JPEG", quality=60, subsampling=2)
    yield "tall_chroma.jpg", tall_chroma(saved(Image.fromarray(colours(28, 28)), "JPEG", quality=60, subsampling=1))
    yield "rgb.jpg", saved(colourful, "JPEG", quality=60, keep_rgb=True)
    yield "progressive.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, progressive=True)
    yield "restarts.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, restart_marker_blocks=2)
    yield "grey.jpg", saved(grey, "JPEG", quality=95)
    yield "cmyk.jpg", saved(cmyk, "JPEG", quality=95)
    yield "ycck.jpg", ycck(saved(cmyk, "JPEG", quality=95))
    yield "cmyk_subsampled.jpg", saved(cmyk, "JPEG", quality=95, subsampling=2)
    yield "ycck_subsampled.jpg", ycck(saved(cmyk, "JPEG", quality=95, subsampling=2))
    yield "cmyk_unmarked.jpg", unmarked(saved(cmyk, "JPEG", quality=95))
    yield "arithmetic.jpg", arithmetic(saved(colourful, "JPEG", quality=60, subsampling=2))
    yield "arithmetic_progressive.jpg", arithmetic(saved(colourful, "JPEG", quality=60, subsampling=2), "-progressive")
    for orientation in (3, 5, 6, 8):
        yield f"turned_{orientation}.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, exif=turned(orientation))
    yield "rgb.png", saved(rgb, "PNG")
    yield "rgba.png", saved(rgba, "PNG")
    yield "grey.png", saved(grey, "PNG")
    yield "grey_alpha.png", saved(grey_alpha, "PNG")
    yield "black_white.png", saved(grey.point(lambda v: 255 * (v > 99), "1"), "PNG")
    yield "palette.png", saved(rgb.quantize(16), "PNG")
    yield "palette_alpha.png", saved(rgb.quantize(16), "PNG", transparency=3)
    yield "interlaced.png", adam7(smooth(3))
    yield "grey16.png", png16(0, deep)
    yield "rgb16.png", png16(2, smooth(3).astype(np.uint16) * 257 + 100)
    yield "rgba16.png", png16(6, alpha.astype(np.uint16) * 257)
    yield "turned.png", saved(rgb, "PNG", exif=turned(6))
    yield "lossless.webp", saved(rgb, "WEBP", lossless=True)
    yield "lossless_alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "lossy.webp", saved(rgb, "WEBP", quality=95)
    yield "lossy_alpha.webp", saved(rgba, "WEBP", quality=95, exact=True)
    yield "animated.webp", saved(rgb, "WEBP", lossless=True, save_all=True, append_images=[ImageOps.invert(rgb)])


def ycck(cmyk):
    """The same samples with the marker that says: the first three are YCbCr. Others than meant, but no
    less the ones that a reader has to find."""
    at = cmyk.index(b"Adobe")
    assert cmyk[at + 11] == 0
    return cmyk[: at + 11] + b"\x02" + cmyk[at + 12:]


def arithmetic(huffman, *options):
    """Coded arithmetically, which Pillow reads and does not write."""
    return subprocess.run(["jpegtran", "-arithmetic", *options], input=huffman, capture_output=True, check=True).stdout


def unfinished(progressive, scans=3):
    """Its first scans alone: where it stays coarse, readers smooth it."""
    parts = progressive.split(b"\xff\xda")
    # The tables of the next scan go with it.
    return b"\xff\xda".join(parts[: scans + 1]).rsplit(b"\xff\xc4", 1)[0] + b"\xff\xd9"


def unmarked(cmyk):
    """Without the marker of Adobe."""
    at = cmyk.index(b"Adobe") - 4
    assert cmyk[at : at + 4] == b"\xff\xee\0\x0e"
    return cmyk[:at] + cmyk[at + 16:]


def tall_chroma(wide):
    """Chroma halved in height instead of width. Of a square, both have as many blocks; they land elsewhere
    than meant, where a reader has to find them no less."""
    at = wide.index(b"\x01\x21\0\x02\x11")
    return wide[: at + 1] + b"\x12" + wide[at + 2:]


def adam7(samples):
    """An interlaced PNG, which Pillow reads and does not write."""
    height, width, _ = samples.shape
    rows = b""
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        for row in range(y0, height, dy):
            rows += b"\0" + samples[row, x0::dx].tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def expected(name, data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode in ("I", "I;16"):
        scaled = (np.asarray(image).astype(np.uint32) + 128) // 257
        image = Image.fromarray(scaled.astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for name, data in files():
        (folder / name).write_bytes(data)
        pixels = expected(name, data)
        # A sample of pixels: every third of each row and column.
        cases.append({"file": name, "size": [pixels.shape[1], pixels.shape[0]],
                      "pixels": pixels[::3, ::3].ravel().tolist()})
    text = json.dumps({"pillow": PIL.__version__, "cases": cases}, separators=(",", ":"))
    (folder / "pixels.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
