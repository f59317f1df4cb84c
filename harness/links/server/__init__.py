"""The embedded link server: TCP proxies with toxics, behind the HTTP API of Toxiproxy 2.12.

Run it with ``python -m harness.links.server --host 127.0.0.1 --port 8474 --seed 7``. In the order a byte
meets them: ``proxy`` accepts, ``addresses`` dials, ``connection`` joins the two sockets by two ``pipe``
directions, ``stage`` runs one toxic on one direction, ``toxics/`` holds one file per toxic. ``api`` and
``http`` are the control plane, ``wire`` its JSON, ``meters`` what it counts, ``alarms`` its clock.
"""
