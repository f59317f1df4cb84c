"""How a run is shared: one renderer per file, each made from a stored run and nothing else.

A renderer file exposes ``RENDERER`` (see ``harness.contracts.Renderer``). Files that start with an underscore are
the parts they share: ``_words`` formats numbers and values, ``_facts`` reads a run leniently, ``_story`` tells it in
sentences, ``_axis`` maps time to places, ``_markup`` writes escaped HTML and SVG.
"""
