"""Sphinx configuration; needs no network."""

import sklkl

project = "sklkl"
author = "The sklkl developers"
copyright = f"2026, {author}"
version = release = sklkl.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# The templates decide which members a page lists, so numpydoc does not list them again.
numpydoc_show_class_members = False
autodoc_typehints = "none"
autodoc_default_options = {
    # scikit-learn adds these; their docstrings refer to pages of its own documentation.
    "exclude-members": "set_fit_request, set_partial_fit_request, set_predict_request, set_score_request",
}
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"^(?!plot_)",
    "doc_module": ("sklkl",),
    "reference_url": {"sklkl": None},
    "download_all_examples": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sklkl {version}"
html_show_sourcelink = False
