"""Configuration of the documentation; `make docs` builds it into site/ without a network."""

import re
import sys
from pathlib import Path

import fastcodes

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "contract")]

import public

project = "fastcodes"
author = "the fastcodes contributors"
version = release = fastcodes.__version__
html_title = f"fastcodes {version}"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "directives",
]
templates_path = ["_templates"]
exclude_patterns = ["gallery/README.rst", "gallery/*.py"]
default_role = "py:obj"

autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"  # docstrings state types and shapes
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
copybutton_exclude = ".linenos, .gp, .go"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "min_reported_time": 1e9,  # times of a shared machine are not measurements
    "write_computation_times": False,
    "abort_on_example_error": True,
    "image_scrapers": ("matplotlib",),
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["fastcodes.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "fastcodes"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "coming_from/*": [], "performance": []}
html_context = {"default_mode": "auto"}
html_favicon = "_static/favicon.svg"
copyright = "the fastcodes contributors, Apache-2.0"


def skip_protocols(app, what, name, item, skip, options):
    """Leave out the methods by which the classes of the package talk to each other."""
    return True if what == "class" and name in public._INTERNAL else None


def fences_as_blocks(app, what, name, item, options, lines):
    """Turn the fenced code of docstrings into code blocks."""
    text = "\n".join(lines)

    def block(found):
        return f".. code-block:: {found[1]}\n\n" + re.sub("^(?=.)", "    ", found[2], flags=re.MULTILINE)

    lines[:] = re.sub(r"^```(\w+)\n(.*?)^```$", block, text, flags=re.MULTILINE | re.DOTALL).split("\n")


def setup(app):
    """Register the hooks of this documentation."""
    app.connect("autodoc-process-docstring", fences_as_blocks, priority=100)  # before numpydoc
    app.connect("autodoc-skip-member", skip_protocols)
