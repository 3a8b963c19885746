"""Sphinx configuration."""

project = "sionna-irs"
author = "The sionna-irs authors"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
html_theme = "pydata_sphinx_theme"
html_title = "sionna-irs"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
# The sections that Sionna's docstrings have, for what a layer takes and returns.
napoleon_custom_sections = [("Input", "params_style"), ("Output", "returns_style")]
napoleon_google_docstring = False
suppress_warnings = ["autosummary.import_cycle"]


def write_figures(app):
    """The table of published figures, from the data that the tests check."""
    import pathlib
    import tomllib

    here = pathlib.Path(__file__).parent
    items = tomllib.loads((here.parent / "link_sims/papers/figures.toml").read_text())["item"]
    lines = [
        "# Published figures and tables",
        "",
        "Every figure and table of the five papers that the software is to answer, and the",
        "experiment that answers it so far.",
        "",
        "| paper | item | what it shows | experiment |",
        "|---|---|---|---|",
    ]
    for item in items:
        name = f"`{item['experiment']}`" if item["experiment"] else "open"
        lines.append(f"| {item['paper']} | {item['item']} | {item['shows']} | {name} |")
    text = "\n".join(lines) + "\n"
    page = here / "figures.md"
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def setup(app):
    app.connect("builder-inited", write_figures)
