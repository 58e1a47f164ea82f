"""Sphinx configuration; needs no network."""

import sys
from pathlib import Path

import sklkl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

from inventories import inventory  # noqa: E402

project = "sklkl"
author = "The sklkl developers"
copyright = f"2026, {author}"
version = release = sklkl.__version__

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "public_bases",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "auto_examples/index.rst",
    "**/sg_execution_times.rst",
    "sg_execution_times.rst",
]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# The templates decide which members a page lists, so numpydoc does not list them again.
numpydoc_show_class_members = False
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
# scikit-learn adds these; their docstrings refer to pages of its own documentation.
ROUTING = [
    "get_metadata_routing",
    *(
        f"set_{name}_request"
        for name in ("fit", "partial_fit", "predict", "score")
    ),
]
autodoc_default_options = {"exclude-members": ", ".join(ROUTING)}
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True

# What this documentation refers to is listed here, so that a build asks no server.
SITES = {
    "numpy": "https://numpy.org/doc/stable/",
    "sklearn": "https://scikit-learn.org/stable/",
    "skorch": "https://skorch.readthedocs.io/en/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
}
LISTS = {name: HERE / "_inventories" / f"{name}.txt" for name in SITES}
intersphinx_mapping = {
    name: (SITES[name], inventory(LISTS[name], HERE / "generated"))
    for name in SITES
}

copybutton_selector = "div.highlight:not(.highlight-output *) > pre"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "backreferences_dir": "generated/backreferences",
    "capture_repr": (),
    "doc_module": ("sklkl",),
    "download_all_examples": False,
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"^(?!plot_)",
    "show_signature": False,
    "thumbnail_size": (640, 448),
}

html_theme = "pydata_sphinx_theme"
html_theme_options = {"logo": {"text": "sklkl"}}
# Pages without pages below them have no use for a navigation beside them.
html_sidebars = {
    name: []
    for name in (
        "coming_from",
        "get_started",
        "reliability",
        "extending",
        "changelog",
    )
}
html_title = f"sklkl {version}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["sklkl.css"]


def without_pictures(app, config):
    """Let a build with -D plot_gallery=0 pass, whose pages miss the pictures of the examples."""
    if config.plot_gallery in (0, "0", "False"):
        config.suppress_warnings.append("image.not_readable")


def setup(app):
    app.connect("config-inited", without_pictures)
