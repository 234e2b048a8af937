"""What curves look like, in the page and in the figures: one color and one marker for each codec, by its position.

Five markers and eight colors: forty codecs before a pair comes again. The colors are those of Okabe and Ito (2008), chosen to be
told apart with any color vision, with a gray and a brown for their yellow and black; the second set is lighter, for dark grounds.
"""

LIGHT = ("#0072b2", "#d55e00", "#009e73", "#b8578f", "#b97f00", "#2f9fd0", "#5c6670", "#8c564b")
DARK = ("#4da3e0", "#ff8a4c", "#2cc79a", "#e39ac4", "#f2b733", "#8fd3f7", "#aab3bd", "#cb9a8c")
MATPLOTLIB_MARKERS = ("o", "s", "^", "D", "v")
"""In the order of SHAPES in chart.js."""


def palette_css() -> str:
    """The classes c0 to c7, which set the color of what is drawn for a codec."""
    light = "".join(f".c{index} {{ color: {color}; }}\n" for index, color in enumerate(LIGHT))
    dark = "".join(f".c{index} {{ color: {color}; }}\n" for index, color in enumerate(DARK))
    return f"{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"
