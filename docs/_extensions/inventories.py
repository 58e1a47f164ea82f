"""Inventories of other sites, in the form that Sphinx reads, made of the lists of names that lie here.

A list has what this documentation refers to, in the words of a Sphinx inventory: name, kind, priority, page, title.
"""

import zlib


def inventory(path, folder):
    """Return the path, in this folder, of the compressed inventory of a list of names."""
    head = f"# Sphinx inventory version 2\n# Project: {path.stem}\n# Version: stable\n# compressed using zlib\n"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.stem}.inv"
    target.write_bytes(head.encode() + zlib.compress(path.read_bytes()))
    return str(target)
