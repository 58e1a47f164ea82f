"""Base classes that a page of the API shows, by their public names: in place of a private one are its own."""

import sys


def public_name(cls):
    """Return the shortest dotted name by which a class can be imported."""
    parts = cls.__module__.split(".")
    modules = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return next(
        f"{module}.{cls.__name__}"
        for module in modules
        if hasattr(sys.modules[module], cls.__name__)
    )


def public_bases(cls):
    """Return the names of the nearest public classes above a class."""
    bases = [
        base
        for base in cls.__bases__
        if base.__module__ not in ("builtins", "typing")
    ]
    names = [
        [public_name(base)]
        if "._" not in public_name(base)
        else public_bases(base)
        for base in bases
    ]
    return list(dict.fromkeys(name for some in names for name in some))


def replace_bases(app, name, cls, options, bases):
    bases[:] = [f":py:class:`{name}`" for name in public_bases(cls)] or [
        object
    ]


def setup(app):
    app.connect("autodoc-process-bases", replace_bases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
