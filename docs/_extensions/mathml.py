"""Formulas as MathML, which browsers draw by themselves: made at build by docutils, so pages need no script."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


# Browsers put no space between a function and what it is of.
FUNCTION = re.compile(r"\\(log|exp) (?=[\\\w])")


def formula(node, **options):
    try:
        return tex2mathml(FUNCTION.sub(r"\\\1\\, ", node.astext()), **options)
    except MathError as error:
        logger.warning(
            "%s in the formula %r", error, node.astext(), location=node
        )
        return ""


def inline(translator, node):
    translator.body.append(formula(node))
    raise nodes.SkipNode


def block(translator, node):
    translator.body.append(
        f'<div class="formula">{formula(node, as_block=True)}</div>'
    )
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
