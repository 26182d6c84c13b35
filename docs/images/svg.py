#!/usr/bin/env python3
"""Makes a picture of a terminal: reads what `tmux capture-pane -e -N -p` prints, writes SVG.

    tmux capture-pane -e -N -p | docs/images/svg.py 120 > docs/images/dashboard.svg

The argument is the terminal's width in columns.
"""

import html
import re
import sys
import unicodedata

CELL, LINE, SIZE, EDGE = 8.4, 18, 14, 14
BACK, FORE, DIM = "#16181d", "#d6d9df", "#7d838f"
COLOURS = {1: "#f2777a", 2: "#8fc97a", 3: "#e8c26a", 6: "#6cc3d5"}


def wide(char):
    """Columns of a character."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def styled(codes, style):
    """The style after the numbers of one escape sequence."""
    codes = [int(code or 0) for code in codes]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 2, 7):
            style = {**style, code: True}
        elif code == 38 and codes[:1] == [5]:
            style = {**style, "colour": codes[1]}
            codes = codes[2:]
        elif 30 <= code <= 37:
            style = {**style, "colour": code - 30}
        elif code == 39:
            style = {key: value for key, value in style.items() if key != "colour"}
    return style


def runs(line, style):
    """Pieces of one style: first column, columns, text, style; and the style at the line's end."""
    found, column = [], 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            style = styled(piece[2:-1].split(";"), style)
        elif piece:
            columns = sum(map(wide, piece))
            found.append((column, columns, piece, style))
            column += columns
    return found, style


def drawn(run, y):
    """One piece as SVG."""
    column, columns, text, style = run
    x, length = EDGE + column * CELL, columns * CELL
    colour = COLOURS.get(style.get("colour"), DIM if style.get(2) else FORE)
    parts = []
    if style.get(7):
        parts.append(f'<rect x="{x:.1f}" y="{y - LINE + 4}" width="{length:.1f}" height="{LINE}" fill="{colour}"/>')
        colour = BACK
    bold = ' font-weight="bold"' if style.get(1) else ""
    # Word by word: not every viewer keeps blanks.
    for word in re.finditer(r"\S+", text):
        at = x + sum(map(wide, text[: word.start()])) * CELL
        size = sum(map(wide, word.group())) * CELL
        parts.append(
            f'<text x="{at:.1f}" y="{y}" textLength="{size:.1f}" lengthAdjust="spacingAndGlyphs"'
            f' fill="{colour}"{bold}>{html.escape(word.group())}</text>'
        )
    return "".join(parts)


def main():
    columns = int(sys.argv[1])
    lines = sys.stdin.read().rstrip("\n").split("\n")
    width, height = columns * CELL + 2 * EDGE, len(lines) * LINE + 2 * EDGE
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}"'
        f' font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}">'
    )
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACK}"/>')
    style = {}
    for number, line in enumerate(lines):
        found, style = runs(line, style)
        y = EDGE + (number + 1) * LINE - 4
        print("".join(drawn(run, y) for run in found))
    print("</svg>")


if __name__ == "__main__":
    main()
