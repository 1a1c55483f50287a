"""Tables: text, Markdown and LaTeX, in which no cell is a command."""

import re

import pytest

from bayescale.errors import InputError
from bayescale.intervals import Interval
from bayescale.tables import Column, Table, escape_latex, latex_number, number

LOSS = Interval(1.974, 1.932, 2.015, 1.974, 0.02)
TABLE = Table(
    "Predicted loss: median and 90% interval.",
    (Column("N", "$N$"), Column("loss"), Column("k_alpha"), Column("note")),
    (
        (7e10, LOSS, ("alpha", r"\alpha"), "70% of C"),
        (1, Interval(1e12, 9e11, 1.1e12, 1e12, 0.0), ("b", r"\beta"), ""),
    ),
)
HOSTILE = [
    r"\input{x}",
    r"\write18{rm -rf x}",
    "50% & more # of $5_000 ~ ^2",
    "a | b",
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "`code` **bold**",
    "two\nlines\n\nand a paragraph",
    r"\\ \hline \end{tabular}",
]


def test_text():
    assert TABLE.text().split("\n") == [
        "N     loss                          k_alpha  note",
        "7e10  1.97 (1.93 to 2.02)           alpha    70% of C",
        "1     1.00e12 (0.90e12 to 1.10e12)  b",
    ]


def test_markdown():
    assert TABLE.markdown().split("\n") == [
        "Predicted loss: median and 90% interval.",
        "",
        "| N | loss | k_alpha | note |",
        "| --- | --- | --- | --- |",
        "| 7e10 | 1.97 (+0.05/-0.04) | alpha | 70% of C |",
        "| 1 | 1.00 (+0.10/-0.10)e12 | b |  |",
    ]


def test_latex():
    assert TABLE.latex().split("\n") == [
        r"\begin{table}",
        r"  \centering",
        r"  \caption{Predicted loss: median and 90\% interval.}",
        r"  \begin{tabular}{llll}",
        r"    \toprule",
        r"    $N$ & loss & k\_alpha & note \\",
        r"    \midrule",
        r"    $7 \times 10^{10}$ & $1.97^{+0.05}_{-0.04}$ & $\alpha$ & 70\% of C \\",
        r"    $1$ & $1.00^{+0.10}_{-0.10} \times 10^{12}$ & $\beta$ &  \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_render(form):
    assert TABLE.render(form) == getattr(TABLE, form)()


def test_an_unknown_form_is_refused():
    message = r"table: 'html' is not a form. Use one of text, markdown, latex."
    with pytest.raises(InputError, match=message):
        TABLE.render("html")


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_has_no_commands_but_ours(text):
    plain = Table("x", (Column("x"),), (("x",),)).latex()
    hostile = Table(text, (Column(text),), ((text,),)).latex()
    ours = re.compile(r"\\(text(backslash|asciitilde|asciicircum|less|greater|bar)\{\}|[{}$&%#_])")
    without = ours.sub("", hostile)
    assert re.findall(r"\\(?:[a-z]+|.)", without) == re.findall(r"\\(?:[a-z]+|.)", plain)
    for character in "{}$&%#_~^|<>\n":
        assert without.count(character) == plain.count(character), character


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_markup_but_ours(text):
    lines = Table(text, (Column(text), Column("b")), ((text, "c"),)).markdown().split("\n")
    assert len(lines) == 5
    for line in (lines[2], lines[4]):
        assert len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line))) == 3
    for line in lines:
        assert not re.search(r"[`*\[\]$]", re.sub(r"\\[\\`*\[\]$|]", "", line))
        assert "<" not in line


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("100%", r"100\%"),
        ("$x_1^2$", r"\$x\_1\textasciicircum{}2\$"),
        ("a|b", r"a\textbar{}b"),
        ("<script>", r"\textless{}script\textgreater{}"),
        ("plain: 1.5 (α)", "plain: 1.5 (α)"),
    ],
)
def test_escape_latex(text, escaped):
    assert escape_latex(text) == escaped


@pytest.mark.parametrize(
    ("value", "text", "latex"),
    [
        (5.76e23, "5.76e23", r"5.76 \times 10^{23}"),
        (1e24, "1e24", "10^{24}"),
        (-1e24, "-1e24", r"-1 \times 10^{24}"),
        (1.5e-7, "1.5e-7", r"1.5 \times 10^{-7}"),
        (125000.0, "125000", "125000"),
        (6, "6", "6"),
        (0.25, "0.25", "0.25"),
        (float("inf"), "inf", "inf"),
    ],
)
def test_exact_numbers(value, text, latex):
    assert (number(value), latex_number(value)) == (text, latex)
