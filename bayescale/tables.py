"""Tables of intervals: as text for a terminal, and as Markdown or LaTeX for a paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bayescale.errors import InputError, Problem
from bayescale.intervals import Interval

Cell = str | float | Interval
Format = Literal["text", "markdown", "latex"]

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\n": " ",
}
_MARKDOWN_SPECIAL = str.maketrans(
    {letter: f"\\{letter}" for letter in "\\`*[]|$"} | {"<": "&lt;", "\n": " "}
)


@dataclass(frozen=True)
class Column:
    """Head of a column: plain text, and LaTeX (the plain text, escaped, if empty)."""

    plain: str
    latex: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a caption; cells are text, numbers or intervals.

    Parameters
    ----------
    caption
        What the table shows, with the level of its intervals and the number of runs.
    columns
        Heads, from left to right.
    rows
        Cells, as many a row as there are columns: text, a number, an `Interval`, or a pair of plain
        text and LaTeX mathematics.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell | tuple[str, str], ...], ...]

    def render(self, form: Format) -> str:
        """Return the table in one of the forms."""
        forms = {"text": self.text, "markdown": self.markdown, "latex": self.latex}
        if form not in forms:
            raise InputError(
                Problem("table", f"{form!r} is not a form", remedy=f"use one of {', '.join(forms)}")
            )
        return forms[form]()

    def text(self) -> str:
        """Aligned columns without the caption."""
        grid = [
            [c.plain for c in self.columns],
            *([_text(cell) for cell in row] for row in self.rows),
        ]
        widths = [max(len(row[i]) for row in grid) for i in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in grid
        ]
        return "\n".join(line.rstrip() for line in lines)

    def markdown(self) -> str:
        """A Markdown table with the caption above."""
        head = " | ".join(_markdown(c.plain) for c in self.columns)
        rows = [" | ".join(_markdown_cell(cell) for cell in row) for row in self.rows]
        rule = " | ".join(["---"] * len(self.columns))
        caption = _markdown(self.caption)
        return "\n".join([caption, "", *(f"| {line} |" for line in (head, rule, *rows))])

    def latex(self) -> str:
        """A LaTeX table with booktabs rules; needs the booktabs package."""
        head = " & ".join(c.latex or escape_latex(c.plain) for c in self.columns)
        rows = [" & ".join(_latex_cell(cell) for cell in row) for row in self.rows]
        return "\n".join(
            [
                r"\begin{table}",
                r"  \centering",
                rf"  \caption{{{escape_latex(self.caption)}}}",
                rf"  \begin{{tabular}}{{{'l' * len(self.columns)}}}",
                r"    \toprule",
                rf"    {head} \\",
                r"    \midrule",
                *(rf"    {row} \\" for row in rows),
                r"    \bottomrule",
                r"  \end{tabular}",
                r"\end{table}",
            ]
        )


def number(value: float) -> str:
    """A given (exact) number in few characters, such as ``5.76e23``."""
    text = f"{value:.6g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"


def latex_number(value: float) -> str:
    """A given number in LaTeX, without the dollar signs."""
    text = number(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    power = f"10^{{{exponent}}}"
    return power if mantissa == "1" else rf"{mantissa} \times {power}"


def escape_latex(text: str) -> str:
    """Text in which no character is a command of LaTeX."""
    return "".join(_LATEX_SPECIAL.get(letter, letter) for letter in text)


def _text(cell: Cell | tuple[str, str]) -> str:
    if isinstance(cell, tuple):
        return cell[0]
    return number(cell) if isinstance(cell, float | int) else str(cell)


def _markdown(text: str) -> str:
    return text.translate(_MARKDOWN_SPECIAL)


def _markdown_cell(cell: Cell | tuple[str, str]) -> str:
    return cell.offsets() if isinstance(cell, Interval) else _markdown(_text(cell))


def _latex_cell(cell: Cell | tuple[str, str]) -> str:
    if isinstance(cell, Interval):
        return f"${cell.latex()}$"
    if isinstance(cell, tuple):
        return f"${cell[1]}$"
    return f"${latex_number(cell)}$" if isinstance(cell, float | int) else escape_latex(cell)
