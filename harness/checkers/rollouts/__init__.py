"""Deployments over regions: the guarantees of a federation (NOM-1 to NOM-38), and logs of releases in waves."""
